package torture

import (
	"bytes"
	"fmt"
	"strconv"
)

// frame is the length of the reply at the start of b; 0 while it is incomplete.
func frame(b []byte) (int, error) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 {
		return 0, nil
	}
	if end < 3 || b[end-2] != '\r' {
		return 0, fmt.Errorf("a line without CRLF: %.80q", b)
	}
	switch b[0] {
	case '+', '-', ':', ',', '#', '_', '(':
		return end, nil
	case '$', '=', '!', '*', '~', '>', '%', '|':
	default:
		return 0, fmt.Errorf("no reply begins like this: %.80q", b)
	}
	n, err := strconv.Atoi(string(b[1 : end-2]))
	switch {
	case err != nil || n < -1:
		return 0, fmt.Errorf("no length: %.80q", b)
	case n == -1:
		return end, nil
	case b[0] == '$' || b[0] == '=' || b[0] == '!':
		if len(b) < end+n+2 {
			return 0, nil
		}
		if string(b[end+n:end+n+2]) != "\r\n" {
			return 0, fmt.Errorf("a string of another length: %.80q", b)
		}
		return end + n + 2, nil
	case b[0] == '%' || b[0] == '|':
		n *= 2
	}
	return frames(b, end, n)
}

// frames is the length of b with n replies from b[at:] on; 0: incomplete.
func frames(b []byte, at, n int) (int, error) {
	for range n {
		size, err := frame(b[at:])
		if size == 0 || err != nil {
			return 0, err
		}
		at += size
	}
	return at, nil
}

// replies cuts b into replies; rest is what is incomplete.
func replies(b []byte) (list [][]byte, rest []byte, err error) {
	for len(b) > 0 {
		n, err := frame(b)
		if n == 0 || err != nil {
			return list, b, err
		}
		list, b = append(list, b[:n]), b[n:]
	}
	return list, nil, nil
}
