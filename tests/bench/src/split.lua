-- The filter's full job as it would be written in Lua: the rule by host, the sticky bucket of the
-- user's header (FNV-1a), a random draw without it, and one header for the route to match on.
local rules = {
  ["shop.default.svc.cluster.local"] = { weight_bp = 1000, offset = 2166136261 },
}
local bxor, band = bit.bxor, bit.band

local function bucket(key, hash)
  for i = 1, #key do
    hash = bxor(hash, key:byte(i))
    -- The product with 16777619, cut to 32 bits without leaving the exact doubles.
    hash = band(band(hash, 0xffff) * 16777619 + band(hash, 0xffff0000) * 403, 0xffffffff)
  end
  return (hash % 4294967296) * 10000 / 4294967296
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local host = headers:get(":authority")
  local rule = rules[host and host:match("^[^:]*")]
  local canary = false
  if rule then
    local user = headers:get("x-user-id")
    local drawn = user and bucket(user, rule.offset) or math.random(0, 9999)
    canary = drawn < rule.weight_bp
  end
  if canary then
    headers:replace("x-serin-variant", "canary")
  elseif headers:get("x-serin-variant") then
    headers:remove("x-serin-variant")
  end
end
