-- Each submission is another one, as a browser sends it.
local number = 0
local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }

request = function()
    number = number + 1
    local body = "name=A+client&email=client%40example.org&message=This+is+submission+number+" .. number .. "%2C+thank+you."
    return wrk.format("POST", "/contact", headers, body)
end
