# sh ptxas_report.sh NVCC ...: runs nvcc; what it says (with -Xptxas=-v: registers, stack, spills) goes into a file beside
# the object, and to stderr as well where it fails.
object=
previous=
for word; do
  if [ "$previous" = -o ]; then object=$word; fi
  previous=$word
done
"$@" 2> "$object.ptxas"
status=$?
if [ $status -ne 0 ]; then grep -v -e '^ptxas info' -e 'bytes stack frame' "$object.ptxas" >&2; fi
exit $status
