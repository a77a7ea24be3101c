package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// oddRecords are those that formats break easily.
func oddRecords() []record {
	keys := []string{"plain", "", " a, \"b\"", "l1\nl2", "cr\r\nlf", "\xff\xfe", "ünï€😀", "\x00"}
	values := []string{"", "Rojalin", "a\r\nb\nc\r", "\xff\x00\xfe", `a "b", 'c' \`, "ö€😀\u2028<&>", "\x01\x1b[2J\x7f", "\n", "\"", ",", "\r",
		strings.Repeat("ö€😀\"\\\n", 50_000), strings.Repeat("x", pieceSize-1) + "€" + strings.Repeat("y", pieceSize), strings.Repeat("x", pieceSize*2) + "\xff", "cut \xe2\x82"}
	var list []record
	for i, value := range values {
		list = append(list, record{key: []byte(keys[i%len(keys)]), value: []byte(value), expires: int64(i % 3 * 1_900_000_000_000)})
	}
	for _, key := range keys {
		list = append(list, record{key: []byte(key), value: []byte("value")})
	}
	return list
}

// section is text that can be read again and again.
func section(text []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(text), 0, int64(len(text)))
}

// same compares a record with what became of it.
func same(t *testing.T, what string, want, got record, err error) {
	t.Helper()
	if err == nil && got.long != nil {
		got.value, err = io.ReadAll(iotest.OneByteReader(io.LimitReader(got.long, 1<<30)))
		if int64(len(got.value)) != got.size {
			t.Errorf("%s of %.40q: %d bytes, not %d as it says", what, want.value, len(got.value), got.size)
		}
	}
	if err != nil || !bytes.Equal(got.key, want.key) || !bytes.Equal(got.value, want.value) || got.expires != want.expires {
		t.Errorf("%s of %q, %.40q, %d gives %q, %.40q, %d: %v", what, want.key, want.value, want.expires, got.key, got.value, got.expires, err)
	}
}

// Records come back byte for byte, whether their values are held or go through
// in pieces, written and read.
func TestRecordsInPieces(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var keep spool
	defer keep.close()
	for _, r := range oddRecords() {
		for _, format := range []string{formatJSON, formatCSV} {
			enc := encoder{format, &keep}
			held := enc.append(nil, r)
			var pieces bytes.Buffer
			long := record{key: r.key, expires: r.expires, long: iotest.HalfReader(bytes.NewReader(r.value)), size: int64(len(r.value))}
			if err := enc.stream(&pieces, long); err != nil {
				t.Fatal(err)
			}
			for _, text := range [][]byte{held, pieces.Bytes()} {
				src := (&importer{format: format}).source(bufio.NewReader(bytes.NewReader(text)), nil, resumption{})
				if s, ok := src.(*csvSource); ok {
					s.columns = map[string]int{"key": 0, "value": 1, "expires": 2, "encoding": 3}
				}
				_, n, err := src.next(nil)
				if n != 1 {
					t.Errorf("%s: %.60q gives %d records: %v", format, text, n, err)
					continue
				}
				same(t, format, r, src.records()[0], err)
				var got record
				switch s := src.(type) {
				case *jsonSource:
					got, err = s.parseLong(section(text))
				case *csvSource:
					got, err = s.parseLong(section(text))
				}
				same(t, format+" in pieces", r, got, err)
			}
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

// CSV is read as the library reads it, its mistakes included, whether records
// are held or not.
func TestCSVAsTheLibrary(t *testing.T) {
	for range 50_000 {
		text := make([]byte, rand.IntN(24))
		for i := range text {
			text[i] = "\"\"\",,\n\n\rab"[rand.IntN(10)]
		}
		want := csv.NewReader(bytes.NewReader(text))
		want.FieldsPerRecord = -1
		s := newCSVSource(reading{in: bufio.NewReader(bytes.NewReader(text))}, map[string]int{"value": 0})
		for {
			fields, wantErr := want.Read()
			raw, _, _, err := s.raw()
			for err == nil && blank(raw) {
				raw, _, _, err = s.raw()
			}
			if wantErr == io.EOF {
				if !blank(raw) {
					t.Fatalf("%q: more than the library reads: %q", text, raw)
				}
				break
			}
			got, gotErr := allFields(raw)
			if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !slices.Equal(got, fields) {
				t.Fatalf("%q: %q, %v, and the library %q, %v", text, got, gotErr, fields, wantErr)
			}
			if wantErr != nil {
				break
			}
		}
	}
}

// allFields reads a record as one that is not held.
func allFields(raw []byte) (fields []string, err error) {
	line := section(raw)
	f := csvFields{line: line, in: bufio.NewReader(line)}
	for !f.ended {
		text, err := io.ReadAll(iotest.OneByteReader(f.field()))
		if err != nil {
			return nil, err
		}
		fields = append(fields, string(text))
	}
	return fields, nil
}

// What is no JSON is no JSON in pieces either.
func TestLongLineOfNoJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"key":"a","value":"b"`: "not JSON", `{"key":"a","value":"b"}}`: "not JSON", `{"key":"a","value":"b",}`: "not JSON",
		`{"key":"a","value":"b` + "\n" + `"}`: "not JSON", `{"key":"a","value":"\q"}`: "not JSON", `{"key":"a","value":"\u12"}`: "not JSON",
		`["key"]`: "not JSON", `{"key":"a","value":1}`: "not JSON", `{"key":1,"value":""}`: "not JSON", `{"key":"a"}`: `"key" or "value" is missing`,
		`{"value":"a"}`: `"key" or "value" is missing`, `{"key":"a","value":"-","encoding":"base64"}`: "not base64", "{\"key\":\"a\",\"value\":\"\xff\"}": "bytes that are not UTF-8",
		`{"key":"a","value":"","expires":-1}`: "a negative time", `{"key":"a","value":"","encoding":"x"}`: "an unknown encoding: x", `{"key":"a","value":"","expires":"1"}`: "not JSON",
	} {
		s := &jsonSource{reading{lines: 7}}
		if _, err := s.parseLong(section([]byte(text))); err == nil || !strings.HasPrefix(err.Error(), "line 7: "+want) {
			t.Errorf("%s: %v, not %s", text, err, want)
		}
	}
	for text, want := range map[string]record{
		` { "other" : [ {"x":"]}\""} , 1 ] , "n":null,"value" : "\ud83d\ude00\u00e9\ud83dx\/" , "expires" : 5 , "key":"k" } ` + "\n": {key: []byte("k"), value: []byte("😀é\uFFFDx/"), expires: 5},
		`{"encoding":"base64","value":"//4=","key":"/w==","key_encoding":"base64"}`:                                                  {key: []byte("\xff"), value: []byte("\xff\xfe")},
	} {
		got, err := (&jsonSource{}).parseLong(section([]byte(text)))
		same(t, text, want, got, err)
	}
}
