module corod/bench/echo_go

go 1.19
