package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kvstored/pkg/client"
)

// scanCount is how many keys one step of a walk asks for.
const scanCount = "1000"

// redisSource copies the strings of another server, a step of SCAN at a time,
// of which large values come in parts.
type redisSource struct {
	reading
	conn    *client.Conn
	at      string // the cursor of the next step
	parts   slicer // of the present step
	ended   bool
	skipped int64  // keys of other types
	behind  string // the cursor behind the steps that are whole,
	whole   sum    // and what they gave
}

func (s *redisSource) cursor() string { return s.behind }

// place counts keys in place of bytes.
func (s *redisSource) place() (int64, int64) { return s.lines, s.lines }

// totals are those of the steps that are whole: from there a load is resumed.
func (s *redisSource) totals() (sum, *claim) { return s.whole, nil }

// next gives a part of the keys of one step.
func (s *redisSource) next(b []byte) ([]byte, int64, error) {
	s.given = s.given[:0]
	if len(s.parts.keys) == 0 {
		if s.ended {
			return b, 0, io.EOF
		}
		if err := s.step(); err != nil {
			return b, 0, err
		}
	}
	keys, large := s.parts.next()
	s.lines += int64(len(keys))
	if large {
		return s.large(b, keys[0])
	}
	records, skipped, err := fetch(s.conn, keys)
	if err != nil {
		return b, 0, fromSource(err)
	}
	s.skipped += skipped
	for _, record := range records {
		s.sum.add(record)
		b = appendSet(b, record)
	}
	s.given = records
	s.done()
	return b, int64(len(records)), nil
}

// done notes that a step is whole, if it is.
func (s *redisSource) done() {
	if len(s.parts.keys) == 0 {
		s.behind, s.whole = s.at, s.sum
	}
}

// large gives a key whose value is too long to be held.
func (s *redisSource) large(b []byte, key client.Reply) ([]byte, int64, error) {
	r, ok, err := fetchLong(s.conn, key)
	if err != nil {
		return b, 0, fromSource(err)
	}
	if !ok {
		s.done()
		return b, 0, nil
	}
	b, n, err := s.give(b, r)
	if r.long == nil { // it has become shorter
		s.done()
	}
	return b, n, err
}

// rest passes on a long value.
func (s *redisSource) rest() func(io.Writer) ([]byte, error) {
	rest := s.reading.rest()
	if rest == nil {
		return nil
	}
	return func(w io.Writer) ([]byte, error) {
		end, err := rest(w)
		var lost *client.LostError
		if errors.As(err, &lost) {
			return nil, fromSource(err)
		} else if err != nil {
			return nil, err
		}
		s.done()
		return end, nil
	}
}

// fetchLong asks for one key whose value is long; ok is false if it is gone.
func fetchLong(c *client.Conn, key client.Reply) (r record, ok bool, err error) {
	name := string(key.Bytes)
	if err := errors.Join(c.Send("PTTL", name), c.Send("GET", name), c.Flush()); err != nil {
		return r, false, err
	}
	ttl, err := c.Receive()
	if err != nil {
		return r, false, err
	}
	value, body, err := c.ReceiveUpTo(longValue)
	if err != nil {
		return r, false, err
	}
	if body == nil && value.IsNil() || ttl.Int == -2 || ttl.Int == 0 {
		return r, false, nil
	}
	r = record{key: key.Bytes, value: value.Bytes}
	if body != nil {
		r.long, r.size = body, body.N
	}
	if ttl.Int > 0 {
		r.expires = time.Now().UnixMilli() + ttl.Int
	}
	return r, true, nil
}

// step asks for the keys of the next step.
func (s *redisSource) step() error {
	r, err := s.conn.Do("SCAN", s.at, "COUNT", scanCount)
	if err != nil {
		return fromSource(err)
	}
	if len(r.Items) != 2 {
		return failure{what: "the source's answer to SCAN makes no sense", code: ExitServer}
	}
	s.at = r.Items[0].Text()
	s.ended = s.at == "0"
	var others int64
	if s.parts, others, err = newSlicer(s.conn, r.Items[1].Items); err != nil {
		return fromSource(err)
	}
	s.lines += others
	s.skipped += others
	return nil
}

// fromSource says that an error is the other server's.
func fromSource(err error) error {
	var refused *client.ServerError
	if errors.As(err, &refused) {
		return failure{what: "the source answered: " + refused.Error(), code: ExitServer}
	}
	var told failure
	if errors.As(err, &told) {
		return err
	}
	return failure{what: "the source: " + err.Error(), why: "the connection to the source was lost", code: ExitConnect}
}

// fetch reads the strings of keys with their times of expiry; keys that are
// gone are left out, those of other types counted.
func fetch(c *client.Conn, keys []client.Reply) (records []record, skipped int64, err error) {
	for _, key := range keys {
		name := string(key.Bytes)
		if err := errors.Join(c.Send("GET", name), c.Send("PTTL", name)); err != nil {
			return nil, 0, err
		}
	}
	if err := c.Flush(); err != nil {
		return nil, 0, err
	}
	for _, key := range keys {
		value, err := c.Receive()
		var refused *client.ServerError
		wrong := errors.As(err, &refused) && refused.Code == "WRONGTYPE"
		if err != nil && !wrong {
			return nil, 0, err
		}
		ttl, err := c.Receive()
		if err != nil {
			return nil, 0, err
		}
		switch {
		case wrong:
			skipped++
		case value.IsNil() || ttl.Int == -2 || ttl.Int == 0:
		default:
			r := record{key: key.Bytes, value: value.Bytes}
			if ttl.Int > 0 {
				r.expires = time.Now().UnixMilli() + ttl.Int
			}
			records = append(records, r)
		}
	}
	return records, skipped, nil
}

// copy loads from another server.
func (i *importer) copy() error {
	notes := i.notes("")
	cursor := "0"
	var r resumption
	if i.resume {
		var err error
		if r, err = readResumption(notes, i.job()); err != nil {
			return err
		}
		cursor = r.Cursor
	}
	src, total, err := i.dialSource(cursor)
	if err != nil {
		return err
	}
	defer src.conn.Close()
	src.lines, src.sum = r.Lines, sum{r.Keys, r.Total}
	src.whole = src.sum
	save := func(m mark) error {
		return resumption{Job: i.job(), Cursor: m.cursor, Lines: m.lines, Keys: m.sum.keys, Total: m.sum.total}.write(notes)
	}
	return i.load(src, total, "", save)
}

// withoutPassword is a source as messages and files name it.
func withoutPassword(from string) string {
	if u, err := url.Parse(from); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return from
}

// dialSource connects to the other server and asks how many keys it has.
func (i *importer) dialSource(cursor string) (*redisSource, int64, error) {
	network, address, login, db, err := parseSource(i.from)
	if err != nil {
		return nil, 0, err
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second}
		return d.DialContext(ctx, network, address)
	}
	c, err := client.DialOptions(context.Background(), address, client.Options{Dialer: dial, Retry: -1})
	if err != nil {
		return nil, 0, failure{what: "cannot connect to the source " + withoutPassword(i.from) + ": " + dialText(err), why: "nothing answers there", fix: "look whether it runs, and at its address: redis-cli -u " + withoutPassword(i.from) + " PING", code: ExitConnect}
	}
	if login != nil {
		if _, err := c.Do(login...); err != nil {
			return nil, 0, fromSource(err)
		}
	}
	if _, err := c.Do("SELECT", strconv.Itoa(db)); err != nil {
		return nil, 0, fromSource(err)
	}
	n, err := c.Do("DBSIZE")
	if err != nil {
		return nil, 0, fromSource(err)
	}
	return &redisSource{conn: c, at: cursor, behind: cursor}, n.Int, nil
}

// dialText is the cause of a connection that failed.
func dialText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return strings.TrimPrefix(op.Err.Error(), "connect: ")
	}
	return err.Error()
}

// parseSource reads what --from names.
func parseSource(from string) (network, address string, login []string, db int, err error) {
	if strings.HasPrefix(from, "/") || strings.HasPrefix(from, "./") {
		return "unix", from, nil, 0, nil
	}
	wrong := func(why string) error {
		return failure{what: "cannot use --from " + withoutPassword(from) + ": " + why, fix: "redis://host:port/db, unix:///path or a socket's path", code: ExitUsage}
	}
	u, parseErr := url.Parse(from)
	if parseErr != nil {
		return "", "", nil, 0, wrong("not an address")
	}
	number := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "redis":
		network, address = "tcp", net.JoinHostPort(u.Hostname(), portOf(u))
		if u.Hostname() == "" {
			return "", "", nil, 0, wrong("the host is missing")
		}
	case "unix":
		network, address, number = "unix", u.Path, u.Query().Get("db")
	default:
		return "", "", nil, 0, wrong(fmt.Sprintf("%q is no kind of address that is known", u.Scheme))
	}
	if number != "" {
		if db, err = strconv.Atoi(number); err != nil {
			return "", "", nil, 0, wrong("the database is not a number: " + number)
		}
	}
	if password, has := u.User.Password(); has {
		login = []string{"AUTH"}
		if name := u.User.Username(); name != "" {
			login = append(login, name)
		}
		login = append(login, password)
	}
	return network, address, login, db, nil
}

// portOf is the port of an address.
func portOf(u *url.URL) string {
	if u.Port() == "" {
		return "6379"
	}
	return u.Port()
}
