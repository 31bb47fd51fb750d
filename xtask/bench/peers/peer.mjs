// What others do from node: `peer.mjs URL lock|check TASKS`, told by lines of milliseconds what to do.
import { Redis } from "ioredis";
import Redlock from "redlock";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { createInterface } from "node:readline";

const [url, kind, tasks] = process.argv.slice(2);
const client = new Redis(url);
const redlock = new Redlock([client]);
const limiter = new RateLimiterRedis({ storeClient: client, points: 1e9, duration: 3600, keyPrefix: "flexible" });

const once = {
  async lock(task) {
    const lock = await redlock.lock(`redlock:${task}`, 10_000);
    await lock.unlock();
  },
  async check() {
    await limiter.consume("user");
  },
}[kind];

async function work(task, end, latencies) {
  for (let before = performance.now(); before < end; ) {
    await once(task);
    const after = performance.now();
    latencies.push((after - before) * 1e3);
    before = after;
  }
}

await client.ping();
console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const cpu = process.cpuUsage();
  const latencies = [];
  const begun = performance.now();
  await Promise.all([...Array(Number(tasks)).keys()].map((task) => work(task, begun + Number(line), latencies)));
  const elapsed = (performance.now() - begun) * 1e3;
  const { user, system } = process.cpuUsage(cpu);
  const step = Math.max(1, Math.floor(latencies.length / 2000));
  const some = latencies.filter((_, at) => at % step === 0);
  console.log(JSON.stringify({ ops: latencies.length, elapsed_us: elapsed, client_us: user + system, latencies_us: some }));
}
process.exit(0);
