-- One POST, the same each time; the body is the argument after the URL. What was measured is told as one line of JSON.
function init(args)
  wrk.method = "POST"
  wrk.body = args[1]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"calls": %d, "seconds": %.6f, "p50_ms": %.6f, "p99_ms": %.6f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
