package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

// jsonRecord is a line of a JSON file.
type jsonRecord struct {
	Key         *string `json:"key,omitempty"`
	KeyEncoding string  `json:"key_encoding,omitempty"`
	Value       *string `json:"value,omitempty"`
	Encoding    string  `json:"encoding,omitempty"`
	Expires     int64   `json:"expires,omitempty"`
	End         *claim  `json:"end,omitempty"`
}

// jsonSource reads JSON lines.
type jsonSource struct{ reading }

func (s *jsonSource) next(b []byte) ([]byte, int64, error) {
	for {
		line, long, err := s.line()
		if long == nil && len(line) == 0 {
			s.given = s.given[:0]
			return b, 0, err
		}
		s.lines++
		var r record
		var ok bool
		if long != nil {
			s.offset += long.Size()
			r, err = s.parseLong(long)
			ok = true
		} else {
			s.offset += int64(len(line))
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if s.want != nil {
				return b, 0, s.bad("more follows behind the line that ends the file")
			}
			r, ok, err = s.parse(line)
		}
		if err != nil {
			return b, 0, err
		}
		if ok {
			return s.give(b, r)
		}
	}
}

// parse reads one line; ok says that it is a record.
func (s *jsonSource) parse(line []byte) (r record, ok bool, err error) {
	var j jsonRecord
	if !utf8.Valid(line) {
		return r, false, s.bad("bytes that are not UTF-8; write them as base64")
	}
	if err := json.Unmarshal(line, &j); err != nil {
		return r, false, s.bad("not JSON: " + shorten(strings.TrimSpace(string(line))))
	}
	if j.End != nil {
		s.want = j.End
		s.want.where = "its last line"
		return r, false, nil
	}
	if j.Key == nil || j.Value == nil {
		return r, false, s.bad(`"key" or "value" is missing`)
	}
	if r.key, err = bytesOf(*j.Key, j.KeyEncoding); err != nil {
		return r, false, s.bad(err.Error())
	}
	if r.value, err = bytesOf(*j.Value, j.Encoding); err != nil {
		return r, false, s.bad(err.Error())
	}
	if j.Expires < 0 {
		return r, false, s.bad("a negative time of expiry")
	}
	r.expires = j.Expires
	return r, true, nil
}

// parseLong reads a line that is not held: all but the value, which is found
// again where it stands.
func (s *jsonSource) parseLong(line *io.SectionReader) (r record, err error) {
	switch valid, err := isUTF8(line); {
	case err != nil:
		return r, err
	case !valid:
		return r, s.bad("bytes that are not UTF-8; write them as base64")
	case s.want != nil:
		return r, s.bad("more follows behind the line that ends the file")
	}
	j := newJSONScan(line, 0)
	if err := j.object(); err != nil {
		return r, s.bad(err.Error())
	}
	switch {
	case j.key == nil || j.value < 0:
		return r, s.bad(`"key" or "value" is missing`)
	case j.expires < 0:
		return r, s.bad("a negative time of expiry")
	}
	if r.key, err = bytesOf(*j.key, j.keyEncoding); err != nil {
		return r, s.bad(err.Error())
	}
	text := func() io.Reader { return &jsonText{in: newJSONScan(line, j.value).in} }
	if r.long, r.size, err = longBody(text, j.encoding, j.size); err != nil {
		return r, s.bad(err.Error())
	}
	r.expires = j.expires
	return r, nil
}

// isUTF8 looks at all of a line.
func isUTF8(line *io.SectionReader) (bool, error) {
	var check textCheck
	piece := make([]byte, pieceSize)
	for at := int64(0); ; {
		n, err := line.ReadAt(piece, at)
		at += int64(n)
		if !check.takes(piece[:n]) {
			return false, nil
		}
		if err == io.EOF {
			return check.whole(), nil
		} else if err != nil {
			return false, err
		}
	}
}
