#!/bin/bash
# Ranks of Open MPI on machines that Linux pretends: network namespaces on a bridge, each of which sends at a limited rate.
# As root:
#   bench/network.sh RANKS RATE -- node bench/ranks.js ARGUMENTS
#   bench/network.sh 4 200mbit -- node bench/ranks.js 256 2 16 5
set -e
ranks=$1 rate=$2
shift 3
agent=$(mktemp)
cleanup() {
  for i in $(seq 1 "$ranks"); do ip netns del "xl$i" 2>/dev/null || true; done
  ip link del xlbridge 2>/dev/null || true
  rm -f "$agent"
}
trap cleanup EXIT
ip link add xlbridge type bridge
ip addr add 10.77.0.100/24 dev xlbridge
ip link set xlbridge up
hosts=
for i in $(seq 1 "$ranks"); do
  ip netns add "xl$i"
  ip link add "xlh$i" type veth peer name eth0 netns "xl$i"
  ip link set "xlh$i" master xlbridge up
  ip -n "xl$i" addr add "10.77.0.$i/24" dev eth0
  ip -n "xl$i" link set eth0 up
  ip -n "xl$i" link set lo up
  # What a machine sends is limited.
  tc -n "xl$i" qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 500ms
  hosts+="${hosts:+,}10.77.0.$i:1"
done
# In the place of ssh: mpirun starts its daemons in the namespaces, each with a name of its own.
cat >"$agent" <<'SCRIPT'
#!/bin/bash
while [[ $1 == -* ]]; do shift; done
number=${1##*.}
shift
exec ip netns exec "xl$number" unshare --uts bash -c "hostname xl$number; $*"
SCRIPT
chmod +x "$agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun.openmpi --mca plm_rsh_agent "$agent" --mca btl tcp,self --mca pml ob1 \
  --mca oob_tcp_if_include 10.77.0.0/24 --mca btl_tcp_if_include 10.77.0.0/24 \
  --bind-to none --host "$hosts" -n "$ranks" "$@"
