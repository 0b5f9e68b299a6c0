-- Takes whole requests of one length out of a file, each once: the threads go through it side by side.
-- wrk -s wrk.lua URL -- FILE LENGTH FIRST COUNT
local ffi = require("ffi")
ffi.cdef [[
int open(const char *path, int flags);
void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset);
]]

local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
  thread:set("step", tonumber(os.getenv("WRK_THREADS")))
end

local base, length, next_one, last

function init(args)
  length = tonumber(args[2])
  next_one = tonumber(args[3]) + id
  last = tonumber(args[3]) + tonumber(args[4])
  local fd = ffi.C.open(args[1], 0)
  assert(fd >= 0, "open " .. args[1])
  local map = ffi.C.mmap(nil, last * length, 1, 2, fd, 0)
  assert(map ~= ffi.cast("void *", -1), "map " .. args[1])
  base = ffi.cast("const char *", map)
end

function request()
  local at = next_one
  next_one = at + step
  if next_one >= last then -- what comes now repeats: the count at the end will show it
    next_one = at % step
  end
  return ffi.string(base + at * length, length)
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\nJSON {"answered":%d,"failed":%d,"micros":%d,"p50":%d,"p99":%d}\n',
    summary.requests - e.status, e.connect + e.read + e.write + e.status + e.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
