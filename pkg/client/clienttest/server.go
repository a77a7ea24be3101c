// Package clienttest has a small server that speaks the protocol, for tests of
// clients.  It keeps string values in memory and breaks connections, or sends
// any bytes as a reply, when it is told to.
package clienttest

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Server is a running server.
type Server struct {
	Path string

	listener net.Listener
	wait     sync.WaitGroup

	mu     sync.Mutex
	ended  sync.Cond                 // of mu: a connection has ended
	conns  map[net.Conn]bool         // guarded by mu
	db     map[int]map[string]string // guarded by mu
	drops  map[string]int            // guarded by mu: connections to break when the command comes
	engine string                    // guarded by mu: the path of the engine "loaded"
	state  string                    // guarded by mu: of an exchange of the engine; "" is serving
	calls  map[string]int            // guarded by mu: how often each command was carried out
	RESP3  bool                      // set before Start: HELLO 3 is understood
}

// conn is one client's connection.
type conn struct {
	in    *bufio.Reader
	out   *bufio.Writer
	db    int
	resp3 bool
}

// Start listens at path.
func (s *Server) Start(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("starting the test server: %w", err)
	}
	s.Path, s.listener = path, l
	s.conns, s.db = map[net.Conn]bool{}, map[int]map[string]string{}
	s.drops, s.calls = map[string]int{}, map[string]int{}
	s.engine = "/usr/lib/libkvstore.so"
	s.ended.L = &s.mu
	s.wait.Add(1)
	go s.accept()
	return nil
}

// Stop closes everything and removes the socket.
func (s *Server) Stop() {
	_ = s.listener.Close()
	s.CloseConnections()
	s.wait.Wait()
}

// CloseConnections breaks all connections at once.
func (s *Server) CloseConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		_ = nc.Close()
	}
}

// Drop breaks the connection for each of the next n commands called name, or
// "NAME SUBCOMMAND", which are not carried out.
func (s *Server) Drop(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops[name] = n
}

// Calls is how often a command was carried out.
func (s *Server) Calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

// accept serves connections until Stop.
func (s *Server) accept() {
	defer s.wait.Done()
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[nc] = true
		s.mu.Unlock()
		s.wait.Add(1)
		go s.serve(nc)
	}
}

// serve answers one connection.
func (s *Server) serve(nc net.Conn) {
	defer s.wait.Done()
	defer nc.Close()
	c := &conn{in: bufio.NewReader(nc), out: bufio.NewWriter(nc)}
	for {
		args, err := readCommand(c.in)
		if err != nil || !s.answer(c, args) {
			break
		}
		if c.in.Buffered() == 0 && c.out.Flush() != nil {
			break
		}
	}
	_ = c.out.Flush()
	s.mu.Lock()
	delete(s.conns, nc)
	s.ended.Broadcast()
	s.mu.Unlock()
}

// readCommand reads an array of strings or an inline line.
func readCommand(in *bufio.Reader) ([]string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if !strings.HasPrefix(line, "*") {
		return strings.Fields(line), nil
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil {
		return nil, err
	}
	args := make([]string, 0, n)
	for range n {
		head, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.TrimRight(head, "\r\n")[1:])
		if err != nil {
			return nil, err
		}
		body := make([]byte, size+2)
		if _, err := io.ReadFull(in, body); err != nil {
			return nil, err
		}
		args = append(args, string(body[:size]))
	}
	return args, nil
}

// handler answers one command.
type handler func(s *Server, c *conn, args []string)

// entry is a command: the fewest arguments that it takes, its name included.
type entry struct {
	least int
	do    handler
}

var table = map[string]entry{
	"PING":    {1, func(_ *Server, c *conn, _ []string) { c.line("+PONG") }},
	"ECHO":    {2, func(_ *Server, c *conn, a []string) { c.bulk(a[1]) }},
	"RAW":     {2, raw},
	"HELLO":   {1, hello},
	"SELECT":  {2, selectDB},
	"SET":     {3, set},
	"GET":     {2, get},
	"MGET":    {2, mget},
	"DEL":     {2, del},
	"INCR":    {2, incr},
	"INCRBY":  {3, incr},
	"KEYS":    {2, keys},
	"BIG":     {2, big},
	"INFO":    {1, info},
	"ENGINE":  {2, engine},
	"TEST":    {3, control},
	"PRIVATE": {1, func(_ *Server, c *conn, _ []string) { c.line("-NOPERM only root may do this") }},
	"MULTI":   {1, func(_ *Server, c *conn, _ []string) { c.line("+OK") }},
	"WATCH":   {2, func(_ *Server, c *conn, _ []string) { c.line("+OK") }},
	"EXEC":    {1, func(_ *Server, c *conn, _ []string) { c.line("-EXECABORT nothing is queued here") }},
}

// answer carries out one command; false breaks the connection.
func (s *Server) answer(c *conn, args []string) bool {
	if len(args) == 0 {
		return true
	}
	name := strings.ToUpper(args[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops[name] > 0 {
		s.drops[name]--
		return false
	}
	if name == "QUIT" {
		c.line("+OK")
		return false
	}
	if len(args) > 1 && s.drops[name+" "+strings.ToUpper(args[1])] > 0 {
		s.drops[name+" "+strings.ToUpper(args[1])]--
		return false
	}
	s.calls[name]++
	e, ok := table[name]
	switch {
	case !ok:
		var shown strings.Builder
		for _, a := range args[1:] {
			fmt.Fprintf(&shown, "'%.128s' ", a)
		}
		c.line("-ERR unknown command '" + args[0] + "', with args beginning with: " + shown.String())
	case len(args) < e.least:
		c.line("-ERR wrong number of arguments for '" + strings.ToLower(name) + "' command")
	default:
		e.do(s, c, args)
	}
	return true
}

// line answers one line.
func (c *conn) line(s string) { _, _ = c.out.WriteString(s + "\r\n") }

// bulk answers a string.
func (c *conn) bulk(s string) { fmt.Fprintf(c.out, "$%d\r\n%s\r\n", len(s), s) }

// null answers nil.
func (c *conn) null() {
	if c.resp3 {
		c.line("_")
		return
	}
	c.line("$-1")
}

// pairs answers names and values.
func (c *conn) pairs(p ...string) {
	if c.resp3 {
		c.line("%" + strconv.Itoa(len(p)/2))
	} else {
		c.line("*" + strconv.Itoa(len(p)))
	}
	for _, s := range p {
		if _, err := strconv.Atoi(s); err == nil {
			c.line(":" + s)
			continue
		}
		c.bulk(s)
	}
}

// space is the selected database.
func (s *Server) space(c *conn) map[string]string {
	if s.db[c.db] == nil {
		s.db[c.db] = map[string]string{}
	}
	return s.db[c.db]
}

// raw answers exactly the bytes given, \n standing for the end of a line.
func raw(_ *Server, c *conn, args []string) {
	_, _ = c.out.WriteString(strings.ReplaceAll(args[1], `\n`, "\r\n"))
}

func hello(s *Server, c *conn, args []string) {
	if len(args) > 1 && args[1] == "3" && !s.RESP3 {
		c.line("-NOPROTO unsupported protocol version")
		return
	}
	c.resp3 = len(args) > 1 && args[1] == "3"
	c.pairs("server", "clienttest", "proto", map[bool]string{false: "2", true: "3"}[c.resp3])
}

func selectDB(_ *Server, c *conn, args []string) {
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 0 || n > 15 {
		c.line("-ERR DB index is out of range")
		return
	}
	c.db = n
	c.line("+OK")
}

func set(s *Server, c *conn, args []string) {
	if len(args) > 3 {
		c.line("-ERR syntax error")
		return
	}
	s.space(c)[args[1]] = args[2]
	c.line("+OK")
}

func get(s *Server, c *conn, args []string) {
	if len(args) != 2 {
		c.line("-ERR wrong number of arguments for 'get' command")
		return
	}
	if v, ok := s.space(c)[args[1]]; ok {
		c.bulk(v)
		return
	}
	c.null()
}

func mget(s *Server, c *conn, args []string) {
	c.line("*" + strconv.Itoa(len(args)-1))
	for _, k := range args[1:] {
		get(s, c, []string{"GET", k})
	}
}

func del(s *Server, c *conn, args []string) {
	n := 0
	for _, k := range args[1:] {
		if _, ok := s.space(c)[k]; ok {
			delete(s.space(c), k)
			n++
		}
	}
	c.line(":" + strconv.Itoa(n))
}

func incr(s *Server, c *conn, args []string) {
	by := int64(1)
	if len(args) > 2 {
		by, _ = strconv.ParseInt(args[2], 10, 64)
	}
	old := s.space(c)[args[1]]
	n, err := strconv.ParseInt(old, 10, 64)
	if err != nil && old != "" {
		c.line("-ERR value is not an integer or out of range")
		return
	}
	s.space(c)[args[1]] = strconv.FormatInt(n+by, 10)
	c.line(":" + strconv.FormatInt(n+by, 10))
}

func keys(s *Server, c *conn, _ []string) {
	var all []string
	for k := range s.space(c) {
		all = append(all, k)
	}
	slices.Sort(all)
	c.line("*" + strconv.Itoa(len(all)))
	for _, k := range all {
		c.bulk(k)
	}
}

// big answers a string of so many bytes without holding it.
func big(_ *Server, c *conn, args []string) {
	n, _ := strconv.Atoi(args[1])
	c.line("$" + strconv.Itoa(n))
	piece := strings.Repeat("0123456789abcdef", 4096)
	for left := n; left > 0; left -= len(piece) {
		_, _ = c.out.WriteString(piece[:min(left, len(piece))])
	}
	c.line("")
}

func info(_ *Server, c *conn, _ []string) {
	text := "# Server\r\nkvstored_version:0.1.0\r\n"
	if c.resp3 {
		fmt.Fprintf(c.out, "=%d\r\ntxt:%s\r\n", len(text)+4, text)
		return
	}
	c.bulk(text)
}

// control changes how the server behaves: TEST DROP command n; TEST STATE name,
// of an exchange of the engine.  DROP waits for the end of all other connections,
// so that it is not spent on a command whose client did not wait for the reply.
func control(s *Server, c *conn, args []string) {
	if strings.EqualFold(args[1], "STATE") {
		s.state = args[2]
	}
	if strings.EqualFold(args[1], "DROP") {
		for len(s.conns) > 1 {
			s.ended.Wait()
		}
		s.drops[strings.ToUpper(args[2])], _ = strconv.Atoi(args[3])
	}
	c.line("+OK")
}

// engine answers like a daemon whose libraries are files that begin with
// "engine NAME VERSION".  LOAD without a path reads the drop-in beside the
// socket, as the daemon reads its configuration.
func engine(s *Server, c *conn, args []string) {
	switch strings.ToUpper(args[1]) {
	case "STATUS":
		c.pairs(s.status()...)
	case "LOAD":
		path := s.configured()
		if len(args) > 2 {
			path = args[2]
		}
		name, version, ok := library(path)
		if !ok {
			c.line("-ERR reload refused: " + path + ": no symbol kvstore_engine; why: not a kvstored engine; still serving hash 0.1.0, no request lost; fix: kvctl engine check " + path)
			return
		}
		if path == s.engine {
			c.line("+unchanged")
			return
		}
		s.engine = path
		c.line("+serving " + name + " " + version + " (generation 2)")
	default:
		c.line("-ERR unknown subcommand '" + args[1] + "'. Try ENGINE HELP.")
	}
}

// configured is the engine that the drop-in names, as NAME beside the socket or a path.
func (s *Server) configured() string {
	dir := filepath.Dir(s.Path)
	data, err := os.ReadFile(filepath.Join(dir, "kvstored.conf.d", "50-engine.conf"))
	if err != nil {
		return s.engine
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		value, ok := strings.CutPrefix(line, "Engine=")
		if ok && strings.Contains(value, "/") {
			return value
		} else if ok {
			return filepath.Join(dir, value+".so")
		}
	}
	return s.engine
}

// rule is where the configured engine stands.
func (s *Server) rule() string {
	path := filepath.Join(filepath.Dir(s.Path), "kvstored.conf.d", "50-engine.conf")
	if _, err := os.Stat(path); err != nil {
		return "Engine=/usr/lib/libkvstore.so (default)"
	}
	return "Engine=" + s.configured() + " (" + path + ":2)"
}

// library reads the first line of a test library.
func library(path string) (name, version string, ok bool) {
	if path == "/usr/lib/libkvstore.so" {
		return "hash", "0.1.0", true
	}
	data, err := os.ReadFile(path)
	words := strings.Fields(string(data))
	if err != nil || len(words) < 3 || words[0] != "engine" {
		return "", "", false
	}
	return words[1], words[2], true
}

// status is the answer to ENGINE STATUS.
func (s *Server) status() []string {
	name, version, _ := library(s.engine)
	return []string{
		"state", cmp.Or(s.state, "serving"), "engine", name, "version", version, "abi", "1", "format", name + "/1",
		"path", s.engine, "sha256", strings.Repeat("ab", 32), "capabilities", "delete expiry spaces",
		"generation", "1", "loaded_at", "2026-11-23T18:00:00Z", "disk", "changed", "rule", s.rule(),
		"keys", "1234567", "memory", "123456789", "pins", "0", "swaps", "2", "refused", "1",
		"last_swap", "hash 0.1.0 -> hash 0.1.1 in 12 ms",
		"last_error", "/tmp/x.so: no symbol kvstore_engine", "last_error_why", "not a kvstored engine",
		"last_error_fix", "kvctl engine check /tmp/x.so",
		"lane_held_max_us", "1234", "lane_held_last_us", "56", "copied_keys", "0", "still_mapped", "0", "writes", "taken", "writes_why", "",
	}
}
