-- A browser's heads: ten fields, two of which never come twice, over 200 files.
local n = 0

function request()
  n = n + 1
  local page = n * 7 % 200
  return wrk.format("GET", string.format("/many/%03d.html", page), {
    ["Host"] = "127.0.0.1",
    ["Connection"] = "keep-alive",
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ["Accept-Language"] = "en-GB,en;q=0.7,de;q=0.3",
    ["Accept-Encoding"] = "gzip, deflate",
    ["Referer"] = "http://127.0.0.1/many/index.html?from=" .. n,
    ["Cookie"] = "session=2f9c41d07be35a; theme=dark; seen=" .. n,
    ["Upgrade-Insecure-Requests"] = "1",
    ["Cache-Control"] = "max-age=0",
  })
end
