#!/bin/bash
# Ranks of Open MPI on machines that Linux pretends: network namespaces, each of which sends at a limited rate, and whose
# packets arrive so many milliseconds later. As root, with a C++ compiler:
#   bench/network.sh RANKS RATE MILLISECONDS -- node bench/ranks.js ARGUMENTS
#   bench/network.sh 4 200mbit 5 -- node bench/ranks.js 256 2 16 5
set -e
ranks=$1 rate=$2 delay=$3
shift 4
files=$(mktemp -d)
forwarder=
cleanup() {
  if [ -n "$forwarder" ]; then kill "$forwarder" 2>/dev/null || true; fi
  for i in $(seq 1 "$ranks"); do ip netns del "xl$i" 2>/dev/null || true; done
  rm -rf "$files"
}
trap cleanup EXIT
c++ -O2 -std=c++17 -o "$files/delay" "$(dirname "$0")/delay.cc"
hosts= spaces=()
for i in $(seq 1 "$ranks"); do
  ip netns add "xl$i"
  ip -n "xl$i" link set lo up
  # As machines that train are set up: windows that long ways need, which stay open between two steps.
  ip netns exec "xl$i" sysctl -qw net.ipv4.tcp_slow_start_after_idle=0 \
    net.ipv4.tcp_rmem="4096 1048576 67108864" net.ipv4.tcp_wmem="4096 1048576 67108864"
  hosts+="${hosts:+,}10.77.0.$i:1"
  spaces+=("xl$i")
done
mkfifo "$files/said"
# The last device is that of mpirun itself.
"$files/delay" "$delay" "${spaces[@]}" - >"$files/said" &
forwarder=$!
read -r <"$files/said"
for i in $(seq 1 $((ranks + 1))); do
  space=(); [ "$i" -le "$ranks" ] && space=(-n "xl$i")
  ip "${space[@]}" addr add "10.77.0.$i/24" dev xltun
  ip "${space[@]}" link set xltun mtu 9000 txqueuelen 10000 up
done
# What a machine sends is limited.
for space in "${spaces[@]}"; do
  tc -n "$space" qdisc add dev xltun root tbf rate "$rate" burst 256kb latency 500ms
done
# In the place of ssh: mpirun starts its daemons in the namespaces, each with a name of its own.
cat >"$files/agent" <<'SCRIPT'
#!/bin/bash
while [[ $1 == -* ]]; do shift; done
number=${1##*.}
shift
exec ip netns exec "xl$number" unshare --uts bash -c "hostname xl$number; $*"
SCRIPT
chmod +x "$files/agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun.openmpi --mca plm_rsh_agent "$files/agent" --mca btl tcp,self --mca pml ob1 \
  --mca oob_tcp_if_include 10.77.0.0/24 --mca btl_tcp_if_include 10.77.0.0/24 \
  --bind-to none --host "$hosts" -n "$ranks" "$@"
