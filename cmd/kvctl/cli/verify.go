package cli

import (
	"bytes"
	"errors"
	"io"
	"time"

	"kvstored/pkg/client"
)

// verify compares records with the keys of a server; times of expiry may
// differ by what it takes to ask twice.
func verify(c *client.Conn, records []record) error {
	for _, r := range records {
		if err := errors.Join(c.Send("GET", string(r.key)), c.Send("PTTL", string(r.key))); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for _, r := range records {
		value, err := c.Receive()
		if err != nil {
			return err
		}
		ttl, err := c.Receive()
		if err != nil {
			return err
		}
		if what := differs(r, value, ttl.Int); what != "" {
			return notSame(r, what)
		}
	}
	return nil
}

// notSame is what is wrong with a key.
func notSame(r record, what string) error {
	return failure{what: "verify: " + quote(r.key) + " " + what, why: "it was changed during the load, or the load is not whole", fix: "run the import again", code: ExitServer}
}

// errDiffers ends a comparison.
var errDiffers = errors.New("differs")

// comparing compares what is written to it with a body, as both arrive.
type comparing struct {
	with  io.Reader
	piece []byte
}

// Write compares the next bytes.
func (c *comparing) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		n, err := fill(c.with, c.piece[:min(len(c.piece), len(b)-done)])
		if err != nil && err != io.EOF {
			return done, err
		}
		if n == 0 || !bytes.Equal(c.piece[:n], b[done:done+n]) {
			return done, errDiffers
		}
		done += n
	}
	return len(b), nil
}

// verifyLong compares the long record that a source has begun to give.
func verifyLong(c *client.Conn, src source, rest func(io.Writer) ([]byte, error)) error {
	if len(src.records()) == 0 { // a command of which it is not known what it leaves behind
		_, err := rest(io.Discard)
		return err
	}
	r := &src.records()[0]
	if err := errors.Join(c.Send("GET", string(r.key)), c.Flush()); err != nil {
		return err
	}
	value, body, err := c.ReceiveUpTo(longValue)
	switch {
	case err != nil:
		return err
	case body == nil && value.IsNil():
		if _, err := rest(io.Discard); err != nil {
			return err
		}
		if what := differs(record{key: r.key, expires: r.expires}, value, -2); what != "" {
			return notSame(*r, what)
		}
		return nil
	case body == nil || body.N != r.size:
		return notSame(*r, "has another value")
	}
	if _, err := rest(&comparing{body, make([]byte, pieceSize)}); errors.Is(err, errDiffers) {
		return notSame(*r, "has another value")
	} else if err != nil {
		return err
	}
	ttl, err := c.Do("PTTL", string(r.key))
	if err != nil {
		return err
	}
	if what := expiresOtherwise(*r, ttl.Int); what != "" {
		return notSame(*r, what)
	}
	return nil
}

// expiryDrift is how far times of expiry may lie apart: one of them was told
// as what is left to live.
const expiryDrift = 5 * time.Second

// differs says how a key differs from its record; empty if it does not.
func differs(r record, value client.Reply, ttl int64) string {
	left := r.expires - time.Now().UnixMilli()
	switch {
	case value.IsNil() && r.expires != 0 && left < expiryDrift.Milliseconds():
		return ""
	case value.IsNil():
		return "is missing"
	case string(value.Bytes) != string(r.value):
		return "has another value"
	}
	return expiresOtherwise(r, ttl)
}

// expiresOtherwise says if a key's time of expiry differs from its record.
func expiresOtherwise(r record, ttl int64) string {
	off := time.Duration(ttl-(r.expires-time.Now().UnixMilli())) * time.Millisecond
	if r.expires == 0 && ttl != -1 || r.expires != 0 && ttl != -2 && off.Abs() > expiryDrift {
		return "expires at another time"
	}
	return ""
}

// verifyAll compares the records of src with the daemon's keys.
func verifyAll(c *client.Conn, src source) (bool, error) {
	var batch []record
	bytes := 0
	for {
		_, _, err := src.next(nil)
		if err != nil && err != io.EOF {
			return false, err
		}
		if rest := src.rest(); rest != nil {
			if err := verifyLong(c, src, rest); err != nil {
				return false, err
			}
			continue
		}
		for _, r := range src.records() {
			batch = append(batch, r)
			bytes += len(r.value)
		}
		if len(batch) >= 256 || bytes > atOnce || err == io.EOF {
			if err := verify(c, batch); err != nil {
				return false, err
			}
			batch, bytes = batch[:0], 0
		}
		if err == io.EOF {
			return true, nil
		}
	}
}
