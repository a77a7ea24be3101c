package command

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
	"strconv"

	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// DUMP and RESTORE: a value as Redis's snapshot files have it, which is a byte
// for the type, the value, two bytes for the version and eight for the checksum.

const (
	// dumpVersion is of Redis 7.0: what it writes every later one reads. What is
	// read goes further than Redis 7.2 (11): strings are the same in Redis 8 (12)
	// and Valkey 9 (80), whose values so can come here.
	dumpVersion    = 10
	dumpVersionMax = 255
	dumpFooter     = 10
	dumpString     = 0 // the type

	wrongDump = "ERR DUMP payload version or checksum are wrong"
	badDump   = "ERR Bad data format"
	busyKey   = "BUSYKEY Target key name already exists."
)

// dumpTable is CRC-64 by Jones, reflected.
var dumpTable = crc64.MakeTable(0x95ac9329ac4bc9b5)

// dumpSum goes on with a checksum that starts at 0; Go's package inverts before
// and after, Redis does not.
func dumpSum(sum uint64, b []byte) uint64 { return ^crc64.Update(^sum, dumpTable, b) }

func planDump(c *Call) {
	c.Reply.Op = c.Batch.Get(c.Session.DB, c.Args[1])
	c.Reply.Render = renderDump
}

// renderDump makes the payload around the value where it lies.
func renderDump(w *resp.Writer, b *batch.Batch, r *Reply) {
	if !r.there(w, b) {
		return
	}
	o := b.Op(r.Op)
	value := o.ValueBytes()
	head := appendDumpNumber([]byte{dumpString}, value)
	if len(head) > 1 {
		value = nil
	} else {
		head = appendDumpLength(head, len(value))
	}
	tail := binary.LittleEndian.AppendUint16(nil, dumpVersion)
	sum := dumpSum(dumpSum(dumpSum(0, head), value), tail)
	w.Wrapped(head, value, binary.LittleEndian.AppendUint64(tail, sum), o.Pin)
}

// appendDumpNumber appends a value that is a number of 32 bits in the short
// form, others not.
func appendDumpNumber(to, value []byte) []byte {
	n, ok := parseInt(value)
	switch {
	case !ok || n != int64(int32(n)):
		return to
	case n == int64(int8(n)):
		return append(to, 0xc0, byte(n))
	case n == int64(int16(n)):
		return binary.LittleEndian.AppendUint16(append(to, 0xc1), uint16(n))
	}
	return binary.LittleEndian.AppendUint32(append(to, 0xc2), uint32(n))
}

func appendDumpLength(to []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(to, byte(n))
	case n < 1<<14:
		return append(to, 0x40|byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(to, 0x80), uint32(n))
}

// dumpTypes is what other types of payload hold.
var dumpTypes = map[byte]string{
	1: "lists", 2: "sets", 3: "sorted sets", 4: "hashes", 5: "sorted sets", 6: "module types", 7: "module types",
	9: "hashes", 10: "lists", 11: "sets", 12: "sorted sets", 13: "hashes", 14: "lists", 15: "streams", 16: "hashes",
	17: "sorted sets", 18: "lists", 19: "streams", 20: "sets", 21: "streams",
}

// dumped is a string in a payload: plain, or packed by LZF from length bytes.
type dumped struct {
	plain  []byte
	packed []byte
	length int
}

// readDump checks a payload and finds its string; problem is the error, "" when
// it is well. Numbers are written to s.
func readDump(payload []byte, s *batch.Sink) (d dumped, problem string) {
	if len(payload) < dumpFooter {
		return d, wrongDump
	}
	body, footer := payload[:len(payload)-dumpFooter], payload[len(payload)-dumpFooter:]
	if binary.LittleEndian.Uint16(footer) > dumpVersionMax ||
		binary.LittleEndian.Uint64(footer[2:]) != dumpSum(0, payload[:len(payload)-8]) {
		return d, wrongDump
	}
	if len(body) == 0 {
		return d, badDump
	}
	if body[0] != dumpString {
		if other, ok := dumpTypes[body[0]]; ok {
			return d, badDump + ": there are no " + other + " here, only strings"
		}
		return d, badDump
	}
	rd := dumpReader{rest: body[1:]}
	d = rd.string(s)
	if rd.bad || len(d.plain) > MaxString || d.length > MaxString {
		return d, badDump
	}
	return d, ""
}

// dumpReader reads what a payload is made of; bad says that it went wrong.
type dumpReader struct {
	rest []byte
	bad  bool
}

// take is the next n bytes, or as many zero bytes (at most 8) when there are fewer.
func (rd *dumpReader) take(n uint64) []byte {
	if rd.bad = rd.bad || n > uint64(len(rd.rest)); rd.bad {
		return make([]byte, min(n, 8))
	}
	b := rd.rest[:n]
	rd.rest = rd.rest[n:]
	return b
}

// length reads a length; encoded: it is the kind of a packed string instead.
func (rd *dumpReader) length() (n uint64, encoded bool) {
	c := rd.take(1)[0]
	switch c >> 6 {
	case 0:
		return uint64(c & 63), false
	case 1:
		return uint64(c&63)<<8 | uint64(rd.take(1)[0]), false
	case 3:
		return uint64(c & 63), true
	}
	switch c {
	case 0x80:
		return uint64(binary.BigEndian.Uint32(rd.take(4))), false
	case 0x81:
		return binary.BigEndian.Uint64(rd.take(8)), false
	}
	rd.bad = true
	return 0, false
}

// plainLength reads a length that must be one.
func (rd *dumpReader) plainLength() uint64 {
	n, encoded := rd.length()
	rd.bad = rd.bad || encoded
	return n
}

func (rd *dumpReader) string(s *batch.Sink) (d dumped) {
	n, encoded := rd.length()
	if !encoded {
		d.plain = rd.take(n)
		return d
	}
	var number int64
	switch n {
	case 0:
		number = int64(int8(rd.take(1)[0]))
	case 1:
		number = int64(int16(binary.LittleEndian.Uint16(rd.take(2))))
	case 2:
		number = int64(int32(binary.LittleEndian.Uint32(rd.take(4))))
	case 3:
		packed := rd.plainLength()
		d.length = int(min(rd.plainLength(), 1<<40))
		d.packed = rd.take(packed)
		rd.bad = rd.bad || d.length == 0
		return d
	default:
		rd.bad = true
	}
	d.plain = s.Copy(strconv.AppendInt(nil, number, 10))
	return d
}

var errPacked = errors.New("not a packed string")

// unpack undoes LZF: a byte below 32 and so many bytes and one more as they
// are; or three bits of length, 13 of distance (a length of 7 is followed by a
// byte that is added to it), and that many bytes and two more from there.
func unpack(to, from []byte) error {
	at := 0
	for i := 0; i < len(from); {
		c := int(from[i])
		i++
		if c < 32 {
			n := c + 1
			if n > len(from)-i || n > len(to)-at {
				return errPacked
			}
			at += copy(to[at:], from[i:i+n])
			i += n
			continue
		}
		n := c >> 5
		if n == 7 {
			if i == len(from) {
				return errPacked
			}
			n += int(from[i])
			i++
		}
		if i == len(from) {
			return errPacked
		}
		back := at - (c&31<<8 | int(from[i])) - 1
		i++
		n += 2
		if back < 0 || n > len(to)-at {
			return errPacked
		}
		for ; n > 0; n-- { // what is copied may be what was just written
			to[at] = to[back]
			at, back = at+1, back+1
		}
	}
	if at != len(to) {
		return errPacked
	}
	return nil
}

// restoring is RESTORE's options.
type restoring struct {
	replace, absolute bool
	idle, frequency   bool // given; there is nothing to keep them in
	expiry            int64
	content           dumped
}

func planRestore(c *Call) {
	var o restoring
	for i := 4; i < len(c.Args); i++ {
		took, ok := c.restoreOption(&o, i)
		if !ok {
			return
		}
		i += took
	}
	if !c.readRestore(&o) {
		if !o.replace {
			c.failUnlessBusy()
		}
		return
	}
	if o.expiry != 0 && o.expiry <= c.Now {
		c.restoreNothing(o.replace)
		return
	}
	if o.content.packed != nil {
		c.Keep()
		c.Reply.Step = o.step
		return
	}
	c.Reply.Op = o.plan(c.Batch, c.Session.DB, c.Args[1], o.content.plain, c.Now)
	c.Reply.Render = renderRestore
}

// restoreOption reads the option at argument i; took is how many more it took.
func (c *Call) restoreOption(o *restoring, i int) (took int, ok bool) {
	more := i+1 < len(c.Args)
	switch opt := c.Args[i]; {
	case isWord(opt, "replace"):
		o.replace = true
		return 0, true
	case isWord(opt, "absttl"):
		o.absolute = true
		return 0, true
	case isWord(opt, "idletime") && more && !o.frequency:
		n, ok := c.integer(i + 1)
		if ok && n < 0 {
			c.Fail("ERR Invalid IDLETIME value, must be >= 0")
		}
		o.idle = true
		return 1, ok && n >= 0
	case isWord(opt, "freq") && more && !o.idle:
		n, ok := c.integer(i + 1)
		if ok && (n < 0 || n > 255) {
			c.Fail("ERR Invalid FREQ value, must be >= 0 and <= 255")
		}
		o.frequency = true
		return 1, ok && n >= 0 && n <= 255
	}
	c.Fail(syntaxError)
	return 0, false
}

// readRestore reads the time and the payload.
func (c *Call) readRestore(o *restoring) bool {
	ttl, ok := c.integer(2)
	if !ok {
		return false
	}
	if ttl < 0 {
		c.Fail("ERR Invalid TTL value, must be >= 0")
		return false
	}
	o.expiry = ttl
	if ttl > 0 && !o.absolute {
		o.expiry += c.Now // over the end it is in the past, as in Redis
	}
	var problem string
	if o.content, problem = readDump(c.Args[3], c.Batch.Scratch); problem != "" {
		c.Fail(problem)
		return false
	}
	return true
}

// failUnlessBusy makes the error that is the reply depend on the key: that it
// is there is the first thing RESTORE complains of.
func (c *Call) failUnlessBusy() {
	c.failIfThere()
	c.Reply.Render = func(w *resp.Writer, b *batch.Batch, r *Reply) {
		switch o := b.Op(r.Op); {
		case failed(w, o, r):
		case o.Status == batch.OK:
			w.Error(busyKey)
		default:
			w.Raw(r.Data)
		}
	}
}

// restoreNothing is RESTORE with a time that has passed: the old key goes, if it
// may be replaced, and nothing comes.
func (c *Call) restoreNothing(replace bool) {
	if !replace {
		c.Reply.Fixed = replyOK
		c.failUnlessBusy()
		return
	}
	c.Reply.Op = c.Batch.Delete(c.Session.DB, c.Args[1])
	c.Reply.Render = func(w *resp.Writer, b *batch.Batch, r *Reply) {
		if o := b.Op(r.Op); !failed(w, o, r) {
			w.Raw(replyOK)
		}
	}
}

// plan adds the operation that sets the key, and returns its index.
func (o *restoring) plan(b *batch.Batch, space uint32, key, value []byte, now int64) int {
	op, a := b.Update(space, key, batch.FuncSet)
	a.SetValue(value)
	a.Expiry, a.Now = o.expiry, now
	if !o.replace {
		a.Flags = batch.IfAbsent
	}
	return op
}

func renderRestore(w *resp.Writer, b *batch.Batch, r *Reply) {
	o := b.Op(r.Op)
	switch {
	case failed(w, o, r):
	case noMemory(w, o):
	case o.Args().Outcome == batch.NotDone:
		w.Error(busyKey)
	default:
		w.Raw(replyOK)
	}
}

// step unpacks the value, which may be far longer than its payload, only when
// it is set.
func (o restoring) step(x *Exec, r *Reply) {
	key := r.Args[1]
	there := x.Batch.Meta(r.DB, key)
	if !x.run(r) {
		return
	}
	if !o.replace && x.Batch.Op(there).Status == batch.OK {
		x.W.Error(busyKey)
		return
	}
	value, free, ok := x.buffer(o.content.length)
	if !ok {
		return
	}
	defer free()
	if unpack(value, o.content.packed) != nil {
		x.W.Error(badDump)
		return
	}
	op := o.plan(x.Batch, r.DB, key, value, x.Now)
	if x.run(r) {
		renderRestore(x.W, x.Batch, &Reply{Op: op, Session: r.Session})
	}
}
