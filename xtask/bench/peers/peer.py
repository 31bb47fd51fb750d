"""What others do from Python: `peer.py URL lock|check TASKS`, told by lines of milliseconds what to do."""

import asyncio
import json
import sys
import time

import limits.aio
from limits import RateLimitItemPerHour
from redis.asyncio import Redis

url, kind, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def main():
    client = Redis.from_url(url)
    storage = limits.aio.storage.RedisStorage("async+" + url, implementation="redispy")
    limiter = limits.aio.strategies.FixedWindowRateLimiter(storage)
    quota = RateLimitItemPerHour(10**9)

    async def lock(task):
        held = client.lock(f"redis-py:{task}", timeout=10)
        assert await held.acquire()
        await held.release()

    async def check(_):
        assert await limiter.hit(quota, "user")

    once = {"lock": lock, "check": check}[kind]

    async def work(task, end, latencies):
        before = time.perf_counter()
        while before < end:
            await once(task)
            after = time.perf_counter()
            latencies.append((after - before) * 1e6)
            before = after

    await client.ping()
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        cpu, latencies, begun = time.process_time(), [], time.perf_counter()
        await asyncio.gather(*(work(task, begun + int(line) / 1e3, latencies) for task in range(tasks)))
        elapsed, spent = time.perf_counter() - begun, time.process_time() - cpu
        some = latencies[:: max(1, len(latencies) // 2000)]
        told = {"ops": len(latencies), "elapsed_us": elapsed * 1e6, "client_us": spent * 1e6, "latencies_us": some}
        print(json.dumps(told), flush=True)


asyncio.run(main())
