-- wrk: signed webhooks, each body and endpoint once, so that each has to be stored.
--
-- Arguments: the file of bodies (one a line: 64 hex digits of the signature, a space, the body) and
-- the number of the first endpoint. When all bodies went to one endpoint, the next one gets them.

local bodies = {}
local count = 0
local at = 0
local endpoint = 0

function init(args)
  endpoint = tonumber(args[2])
  for line in io.lines(args[1]) do
    local signature, body = line:sub(1, 64), line:sub(66)
    count = count + 1
    bodies[count] = " HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Type: application/json\r\n"
      .. "X-Hub-Signature-256: sha256=" .. signature .. "\r\n"
      .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
  end
end

function request()
  at = at + 1
  if at > count then
    at = 1
    endpoint = endpoint + 1
  end
  return "POST /v1/webhooks/bench/n" .. endpoint .. bodies[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"seconds": %.6f, "answers": %d, "refused": %d, "broken": %d, '
      .. '"p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}\n',
    summary.duration / 1e6, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
