# Holds one server on a leash: `ok` once its directory is there, then an order per line on stdin, a line back for each.
# However the holder ends, stdin closes, and the server and its directory go.
# Arguments: the directory to make, the server's binary, the server's arguments.
dir=$1
bin=$2
shift 2
pid=

end() {
  [ -n "$pid" ] || return 0
  kill -9 "$pid"
  wait "$pid"
  pid=
}

mkdir -m 700 "$dir" || exit 1
trap 'end; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
# A holder that dies before it reads an answer must not take the clean-up with it.
trap '' PIPE

echo ok
while read -r order; do
  case $order in
  START)
    "$bin" "$@" </dev/null >>"$dir/server.log" 2>&1 &
    pid=$!
    echo "$pid"
    ;;
  KILL)
    end
    echo ok
    ;;
  ALIVE)
    # `jobs` collects a server that ended by itself: without it `kill -0` still finds the zombie.
    jobs >/dev/null
    if [ -n "$pid" ] && kill -0 "$pid"; then
      echo yes
    else
      pid=
      echo no
    fi
    ;;
  STOP | CONT)
    if [ -n "$pid" ] && kill "-$order" "$pid"; then echo ok; else echo "no server is running"; fi
    ;;
  *) echo "unknown order: $order" ;;
  esac
done
