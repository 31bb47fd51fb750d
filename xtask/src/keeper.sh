# Ends a process group when its holder is gone: stdin closes, however that happens.
# A line on stdin says that the group has ended by itself. Argument: the group.
read -r _ && exit
kill -s INT -- "-$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -s 0 -- "-$1" || exit
  sleep 0.1
done
kill -s KILL -- "-$1"
