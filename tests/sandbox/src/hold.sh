# Holds one program so that it never outlives whoever started it.
#   sh -c THIS name PIDS GRACE PROGRAM [ARGUMENT...]    in a process group of its own, standard input a pipe
# Each word read from the pipe is a signal for the program. When the pipe closes, however its owner came to an
# end, the program has GRACE seconds to leave. The holder ends with the program, in the program's way.
pids=$1 grace=$2
shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
echo "$$ $program" >"$pids"
exec >/dev/null 2>&1 # what a shell says of the end of a program is not the program's output

(
    while read -r signal; do kill -s "$signal" "$program"; done
    kill -s TERM "$program"
    kill -s CONT "$program" # a stopped program would not hear the TERM
    sleep "$grace"
    kill -s KILL "$program"
) <&3 &
exec 3<&-

wait "$program"
code=$?
trap '' TERM
kill -s TERM 0 # the rest of the group: the reader of the pipe, its sleep, children that the program left
trap - TERM
[ "$code" -le 128 ] || kill -s "$(kill -l "$code")" "$$" # the signal that ended the program ends us
exit "$code"
