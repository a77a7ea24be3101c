package command

import (
	"kvstored/pkg/batch"
	"kvstored/pkg/resp"
)

// field is one subcommand of BITFIELD.
type field struct {
	offset uint64
	flags  uint64 // width, and batch.Field… of a write
	number int64
	write  bool
}

func planBitfield(c *Call)   { c.bitfield(false) }
func planBitfieldRo(c *Call) { c.bitfield(true) }

func (c *Call) bitfield(onlyGet bool) {
	fields, ok := c.fields()
	if !ok {
		return
	}
	var bits uint64 // that the value must have for the writes
	for _, f := range fields {
		if f.write {
			bits = max(bits, f.offset+f.width())
		}
	}
	if bits > 0 && onlyGet {
		c.Fail("ERR BITFIELD_RO only supports the GET subcommand")
		return
	}
	c.Reply.Op, c.Reply.Num = c.Batch.Len(), int64(bits)
	if bits > 0 {
		_, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncGrow)
		a.Limit = (bits + 7) / 8
	}
	for _, f := range fields {
		f.plan(c)
	}
	c.Reply.N = c.Batch.Len() - c.Reply.Op
	if bits > 0 {
		for i := range c.Reply.N - 1 {
			c.Batch.Op(c.Reply.Op + i).Flags = batch.WithNext
		}
	}
	c.Reply.Render = func(w *resp.Writer, b *batch.Batch, r *Reply) { renderFields(w, b, r, fields) }
}

func (f *field) width() uint64 { return f.flags & 0x7f }

// plan adds the operation of one field.
func (f *field) plan(c *Call) {
	if !f.write {
		c.Batch.GetRange(c.Session.DB, c.Args[1], f.offset>>3, 9)
		return
	}
	_, a := c.Batch.Update(c.Session.DB, c.Args[1], batch.FuncField)
	a.Offset, a.Number, a.Flags = f.offset, f.number, f.flags
}

// fields reads all subcommands.
func (c *Call) fields() (fields []field, ok bool) {
	var overflow uint64
	for i := 2; i < len(c.Args); {
		left := len(c.Args) - i - 1
		var f field
		switch name := c.Args[i]; {
		case isWord(name, "get") && left >= 2:
		case isWord(name, "set") && left >= 3:
			f.write = true
		case isWord(name, "incrby") && left >= 3:
			f.write, f.flags = true, batch.FieldAdd
		case isWord(name, "overflow") && left >= 1:
			if overflow, ok = c.overflow(i + 1); !ok {
				return nil, false
			}
			i += 2
			continue
		default:
			c.Fail(syntaxError)
			return nil, false
		}
		if !c.field(&f, i+1) {
			return nil, false
		}
		i += 3
		if f.write {
			if f.number, ok = c.integer(i); !ok {
				return nil, false
			}
			f.flags |= overflow
			i++
		}
		fields = append(fields, f)
	}
	return fields, true
}

// overflow reads argument i as what is done with numbers that do not fit.
func (c *Call) overflow(i int) (uint64, bool) {
	switch {
	case isWord(c.Args[i], "wrap"):
		return 0, true
	case isWord(c.Args[i], "sat"):
		return batch.FieldSat, true
	case isWord(c.Args[i], "fail"):
		return batch.FieldFail, true
	}
	c.Fail("ERR Invalid OVERFLOW type specified")
	return 0, false
}

// field reads type and offset, arguments i and i+1.
func (c *Call) field(f *field, i int) (ok bool) {
	text := cString(c.Args[i])
	most := int64(63)
	if len(text) > 0 && text[0] == 'i' {
		f.flags |= batch.FieldSigned
		most = 64
	}
	width := int64(0)
	if len(text) > 0 && (text[0] == 'i' || text[0] == 'u') {
		width, _ = parseInt(text[1:])
	}
	if width < 1 || width > most {
		c.Fail("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
		return false
	}
	f.flags |= uint64(width)
	f.offset, ok = c.bitOffset(i+1, int(width))
	return ok
}

func renderFields(w *resp.Writer, b *batch.Batch, r *Reply, fields []field) {
	for i := range r.N {
		o := b.Op(r.Op + i)
		if failed(w, o, r) || o.Code == batch.Update && noMemory(w, o) {
			return
		}
	}
	at := r.Op
	if r.Num > 0 {
		at++ // the value was made long enough first
	}
	w.Array(len(fields))
	for i := range fields {
		fields[i].render(w, b.Op(at+i))
	}
}

// render answers one field.
func (f *field) render(w *resp.Writer, o *batch.Op) {
	if f.write {
		switch a := o.Args(); a.Outcome {
		case batch.Done, batch.Same:
			w.Int(a.Result)
		default:
			w.Null()
		}
		return
	}
	var value []byte
	if o.Status == batch.OK {
		value = o.ValueBytes()
	}
	w.Int(f.read(value))
	if o.Status == batch.OK {
		w.Drop(o.Pin)
	}
}

// read is the field's number; value starts with the byte of its first bit, and
// what it lacks at its end is zero.
func (f *field) read(value []byte) int64 {
	var n uint64
	first := f.offset & 7
	for i := first; i < first+f.width(); i++ {
		n <<= 1
		if i>>3 < uint64(len(value)) {
			n |= uint64(value[i>>3] >> (7 - i&7) & 1)
		}
	}
	if f.flags&batch.FieldSigned != 0 {
		unused := 64 - f.width()
		return int64(n<<unused) >> unused
	}
	return int64(n)
}
