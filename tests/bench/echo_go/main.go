// An echo server on Go's net package: a goroutine a connection, straight-line code.
// The first argument is GOMAXPROCS; without it Go decides.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
)

const bufferSize = 16384

// Read and Write, not io.Copy: that would splice in the kernel, and nobody could look at
// the data.
func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, bufferSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err = conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil || n < 1 {
			fmt.Fprintln(os.Stderr, "usage: echo_go [THREADS]")
			os.Exit(64)
		}
		runtime.GOMAXPROCS(n)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go echo(conn)
	}
}
