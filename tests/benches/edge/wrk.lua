-- What wrk sends: the request in a file, whose number is counted up each time where results are not to be at hand.
--
-- wrk -s wrk.lua URL -- FILE FIRST: the number is FIRST and those after it, for each thread another part of them; without
-- FIRST it stays.

local mark = '"call":'
local digits = 9
local each = 2000000 -- numbers of a thread

local threads = 0

function setup(thread)
  thread:set("index", threads)
  threads = threads + 1
end

function init(args)
  local text = io.open(args[1], "rb"):read("*a")
  if args[2] == nil then
    request = function() return text end
    return
  end
  local _, to = text:find(mark, 1, true)
  local before, after = text:sub(1, to), text:sub(to + 1 + digits)
  local number = tonumber(args[2]) + index * each
  request = function()
    number = number + 1
    return before .. number .. after
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  print(string.format("figures %d %d %d %d %d", summary.requests, summary.duration, failed, p50, p99))
end
