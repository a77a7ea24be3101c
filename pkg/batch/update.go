package batch

import "unsafe"

// Func names a function of the host that runs inside an engine's KV_UPDATE.
// They are written in C, in pkg/engine, which fills the table of addresses.
type Func uint8

// The update functions. Each states what it reads from its [Arg] and what it
// leaves there; unless said otherwise the present expiry and tag stay.
const (
	// FuncSet is SET with conditions. Value, Expiry, Flags (IfAbsent, IfPresent,
	// IfEqual, IfDifferent with Compare and ByDigest, KeepTTL, WantOld). Outcome Done or
	// NotDone; Old with WantOld.
	FuncSet Func = iota
	// FuncIncr adds Number. Result; Outcome NotInteger, Overflow.
	FuncIncr
	// FuncIncrFloat adds the number whose text is Value. Old: the new text;
	// Outcome NotFloat, NaN.
	FuncIncrFloat
	// FuncAppend appends Value. Result: new length; Outcome TooLong above Limit.
	FuncAppend
	// FuncSetRange puts Value at Offset. Result: new length.
	FuncSetRange
	// FuncGetDel removes. Old, unless Got is set. Outcome Absent.
	FuncGetDel
	// FuncGetEx sets or removes the expiry. Flags Persist; Expiry. Outcome Absent.
	FuncGetEx
	// FuncExpire sets Expiry under Flags (NX, XX, GT, LT), removing the entry
	// when Expiry < Now. Outcome Done, NotDone.
	FuncExpire
	// FuncPersist removes the expiry. Outcome Done, NotDone.
	FuncPersist
	// FuncSetBit sets the bit at Offset, counted from the first byte's highest,
	// to Number. Result: the bit that was there.
	FuncSetBit
	// FuncGrow makes the value at least Limit bytes long, filled with zeros.
	// Outcome Done, NotDone when it is.
	FuncGrow
	// FuncField sets the bit field at Offset, or adds to it: Number, and Flags
	// the width and FieldSigned, FieldAdd, FieldSat, FieldFail. The value reaches
	// that far: see FuncGrow. Result: the old number, or the sum; Outcome NotDone
	// when the number does not fit and FieldFail was asked for.
	FuncField
	// FuncPfAdd raises registers of a HyperLogLog. Value is words of 32 bits, a
	// register's number times 256 plus what it must at least be; Flags PfDense,
	// PfForget. Outcome Done, NotDone when nothing changed, NotHLL, BrokenHLL.
	FuncPfAdd
	// FuncDelIf removes the entry when it equals Compare, or with IfDifferent when
	// it does not; Flags ByDigest. Outcome Done, NotDone.
	FuncDelIf
	// FuncCount is how many there are.
	FuncCount
)

// funcs holds the address of each function; filled by pkg/engine at start.
var funcs [FuncCount]uintptr

// SetFunc names the C function behind fn.
func SetFunc(fn Func, addr uintptr) { funcs[fn] = addr }

// Changed tells whether a carried-out operation may have changed its key; for
// Clear it is true. GETEX that removes an expiry time counts as a change even
// where there was none: see [Op.Persists].
func (o *Op) Changed() bool {
	if o.Status != OK {
		return o.Status == NotFound && o.Code == Delete && o.Length == asSet
	}
	switch o.Code {
	case Set, Delete, Clear:
		return true
	case Update:
		a := o.Args()
		return a.Outcome == Done && (o.function() != funcs[FuncGetEx] || a.Flags&Persist != 0 || a.Expiry != 0)
	}
	return false
}

// Wrote tells whether an update was done, if only with what was there before.
func (o *Op) Wrote() bool {
	return o.Code == Update && o.Status == OK && (o.Args().Outcome == Done || o.Args().Outcome == Same)
}

// MakesRoom tells whether the operation is the one before those on bit fields.
func (o *Op) MakesRoom() bool { return o.Code == Update && o.function() == funcs[FuncGrow] }

// SetsField tells whether the operation is one on a bit field.
func (o *Op) SetsField() bool { return o.Code == Update && o.function() == funcs[FuncField] }

// Persists tells whether the operation changes nothing but the expiry time,
// and takes it away.
func (o *Op) Persists() bool {
	return o.Code == Update && o.function() == funcs[FuncGetEx] && o.Args().Flags&Persist != 0
}

// Flags of an argument block.
const (
	IfAbsent  = 1 << 0
	IfPresent = 1 << 1
	KeepTTL   = 1 << 2
	WantOld   = 1 << 3
	Persist   = 1 << 4
	ExpireNX  = 1 << 5
	ExpireXX  = 1 << 6
	ExpireGT  = 1 << 7
	ExpireLT  = 1 << 8
	// IfEqual wants an entry that equals Compare; IfDifferent one that does not,
	// or none.
	IfEqual     = 1 << 9
	IfDifferent = 1 << 10
	// PfDense makes a HyperLogLog dense, PfForget forgets its cached count even
	// when no register changed.
	PfDense  = 1 << 11
	PfForget = 1 << 12
	// ByDigest makes Compare the digest of a value: XXH3 of 64 bits, in 16
	// hexadecimal digits.
	ByDigest = 1 << 13
)

// Flags of FuncField besides its width in bits, 1 to 64.
const (
	FieldSigned = 1 << 8
	FieldAdd    = 1 << 9
	FieldSat    = 1 << 10 // what does not fit becomes the nearest number that does
	FieldFail   = 1 << 11 // what does not fit is not done; else it wraps
)

// Outcome is what an update function came to.
type Outcome int32

// Outcomes. Absent and Done tell whether the entry was there where a command
// wants to know.
const (
	Done       Outcome = 0
	Same       Outcome = 5 // done, and the entry is as it was
	NotDone    Outcome = 10
	Absent     Outcome = 20
	NotInteger Outcome = 30
	Overflow   Outcome = 40
	NotFloat   Outcome = 50
	NaN        Outcome = 60
	TooLong    Outcome = 70
	NoMemory   Outcome = 80
	NotHLL     Outcome = 90
	BrokenHLL  Outcome = 100
)

// Arg mirrors struct kvh_arg in pkg/engine: what an update function is given
// and what it leaves. Everything it points to is off-heap.
type Arg struct {
	Number   int64
	Flags    uint64
	Expiry   int64
	Now      int64
	Value    uintptr
	ValueLen uint64
	Offset   uint64
	Limit    uint64

	Result  int64
	Outcome Outcome
	Existed uint32  // 1: there was an entry before
	Old     uintptr // 0: none
	OldLen  uint64
	OldTag  uint32
	Answer  uint32  // what the function answered; of a noted operation only
	Reply   uintptr // *Sink, where Old is put

	Compare    uintptr // in
	CompareLen uint64

	Function uintptr // of a noted operation: the function that is meant
	Got      uintptr // *Op, see SetGot; 0: none
}

// SetValue makes b, off-heap, the operand.
func (a *Arg) SetValue(b []byte) { a.Value, a.ValueLen = Addr(b), uint64(len(b)) }

// SetGot names the Get of the same key just before, in the same batch, which the
// reply is made of. Where that could not be answered FuncSet, FuncGetDel and FuncGetEx
// change nothing: Outcome NoMemory.
func (a *Arg) SetGot(o *Op) { a.Got = uintptr(unsafe.Pointer(o)) }

// SetCompare makes b, off-heap, what the entry is compared with.
func (a *Arg) SetCompare(b []byte) { a.Compare, a.CompareLen = Addr(b), uint64(len(b)) }

// OldBytes is what the function left as Old; nil when there was nothing.
func (a *Arg) OldBytes() []byte { return Bytes(a.Old, a.OldLen) }
