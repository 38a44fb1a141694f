// Carries packets between network namespaces, each a while after it was sent: where the kernel has no netem. As root:
//   delay MILLISECONDS NAMESPACE...
// makes in each namespace a device "xltun" ("-": in its own), says "ready", and carries until it is ended. The number of
// the device that a packet goes to, from 1 on, is the last byte of its IPv4 address.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace {

struct Packet {
  int64_t due;
  int device;
  std::vector<uint8_t> bytes;
};

// The last byte of the destination in a header of IPv4.
constexpr int kDestination = 19;
constexpr int kLargestPacket = 65536;
// Less than a second, in nanoseconds.
constexpr int64_t kIdle = 999'999'999;

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

[[noreturn]] void fail(const std::string& what) {
  perror(what.c_str());
  exit(1);
}

int openDevice() {
  const int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (device < 0) fail("/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  strncpy(request.ifr_name, "xltun", IFNAMSIZ - 1);
  if (ioctl(device, TUNSETIFF, &request) < 0) fail("xltun");
  return device;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "delay MILLISECONDS NAMESPACE...\n");
    return 2;
  }
  const auto delay = static_cast<int64_t>(atof(argv[1]) * 1e6);
  const int own = open("/proc/self/ns/net", O_RDONLY);
  std::vector<pollfd> devices;
  for (int i = 2; i < argc; i++) {
    const std::string name = argv[i];
    const int space = name == "-" ? own : open(("/var/run/netns/" + name).c_str(), O_RDONLY);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0) fail(name);
    devices.push_back({openDevice(), POLLIN, 0});
  }
  setns(own, CLONE_NEWNET);
  puts("ready");
  fflush(stdout);

  std::deque<Packet> waiting;
  std::vector<uint8_t> read_bytes(kLargestPacket);
  for (;;) {
    const int64_t left = waiting.empty() ? kIdle : waiting.front().due - now();
    const timespec timeout{0, std::clamp<int64_t>(left, 0, kIdle)};
    if (ppoll(devices.data(), devices.size(), &timeout, nullptr) < 0) fail("ppoll");
    for (auto& device : devices) {
      if (!(device.revents & POLLIN)) continue;
      ssize_t count;
      while ((count = read(device.fd, read_bytes.data(), read_bytes.size())) > 0) {
        const int to = count > kDestination ? read_bytes[kDestination] - 1 : -1;
        // Of IPv6 and of nobody's address: neighbour discovery, broadcasts.
        if (read_bytes[0] >> 4 != 4 || to < 0 || to >= static_cast<int>(devices.size())) continue;
        waiting.push_back({now() + delay, to, {read_bytes.begin(), read_bytes.begin() + count}});
      }
    }
    for (const int64_t time = now(); !waiting.empty() && waiting.front().due <= time; waiting.pop_front()) {
      const Packet& packet = waiting.front();
      if (write(devices[packet.device].fd, packet.bytes.data(), packet.bytes.size()) < 0) fail("write");
    }
  }
}
