package script

import (
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// What the interpreter does not show and Lua needs: the instruction at which a
// function is, for names in messages; how many functions a thread is in, and
// which one runs; the parts of a table; and the list of open
// upvalues, since the interpreter's PCall leaves those of the functions that an
// error ended open (their variables then change with the stack), or shuts those
// of functions that go on (two closures then no longer share a variable).

// Where the fields are; a field that is gone or another ends the start.
var (
	openOffset  = offsetOf(reflect.TypeFor[lua.LState](), "uvcache", reflect.TypeFor[*lua.Upvalue]())
	keepsOffset = offsetOf(reflect.TypeFor[lua.LState](), "hasErrorFunc", reflect.TypeFor[bool]())
	nextOffset  = offsetOf(reflect.TypeFor[lua.Upvalue](), "next", reflect.TypeFor[*lua.Upvalue]())
	arrayOffset = offsetOf(reflect.TypeFor[lua.LTable](), "array", reflect.TypeFor[[]lua.LValue]())
	keyedOffset = offsetOf(reflect.TypeFor[lua.LTable](), "dict", reflect.TypeFor[map[lua.LValue]lua.LValue]())
)

func offsetOf(of reflect.Type, name string, is reflect.Type) uintptr {
	f, ok := of.FieldByName(name)
	if !ok || f.Type != is {
		panic("the interpreter has changed: no field " + name + " of type " + is.String() + " in " + of.String())
	}
	return f.Offset
}

// current is the field of the function that a thread is in, and where its code is.
var current, currentFn = func() (frame, fn uintptr) {
	f, ok := reflect.TypeFor[lua.LState]().FieldByName("currentFrame")
	if !ok || f.Type.Kind() != reflect.Pointer {
		panic("the interpreter has changed: no field currentFrame in LState")
	}
	return f.Offset, offsetOf(f.Type.Elem(), "Fn", reflect.TypeFor[*lua.LFunction]())
}()

// running is the function whose instructions a thread carries out.
func running(L *lua.LState) *lua.LFunction {
	frame := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(L), current))
	return *(**lua.LFunction)(unsafe.Add(frame, currentFn))
}

// arrayOf is what a table has under 1, 2 and so on, and the room for more.
func arrayOf(t *lua.LTable) *[]lua.LValue {
	return (*[]lua.LValue)(unsafe.Add(unsafe.Pointer(t), arrayOffset))
}

// keyedOf is what a table has under keys that are neither texts nor places in
// its array.
func keyedOf(t *lua.LTable) *map[lua.LValue]lua.LValue {
	return (*map[lua.LValue]lua.LValue)(unsafe.Add(unsafe.Pointer(t), keyedOffset))
}

// stack is the field of the functions that a thread is in.
var stack = func() reflect.StructField {
	f, ok := reflect.TypeFor[lua.LState]().FieldByName("stack")
	if !ok || !f.Type.Implements(reflect.TypeFor[interface{ Sp() int }]()) {
		panic("the interpreter has changed: no field stack with a method Sp in LState")
	}
	return f
}()

// frames is how many functions a thread is in.
func frames(L *lua.LState) int {
	field := reflect.NewAt(stack.Type, unsafe.Add(unsafe.Pointer(L), stack.Offset))
	return field.Elem().Interface().(interface{ Sp() int }).Sp()
}

// open is the head of the list of open upvalues.
func open(L *lua.LState) **lua.Upvalue {
	return (**lua.Upvalue)(unsafe.Add(unsafe.Pointer(L), openOffset))
}

func nextOf(u *lua.Upvalue) **lua.Upvalue {
	return (**lua.Upvalue)(unsafe.Add(unsafe.Pointer(u), nextOffset))
}

// keepsOpen says whether an error leaves upvalues open for whoever catches it.
func keepsOpen(L *lua.LState) *bool {
	return (*bool)(unsafe.Add(unsafe.Pointer(L), keepsOffset))
}

// lastOpen is the end of the list: what comes after it belongs to functions
// that are called from now on.
func lastOpen(L *lua.LState) (last **lua.Upvalue) {
	for last = open(L); *last != nil; {
		last = nextOf(*last)
	}
	return last
}

// place is an instruction of a function on the stack.
type place struct {
	fn *lua.LFunction
	pc int
}

// placeOf is where the function at a level of the stack is; level 0 runs.
func placeOf(L *lua.LState, level int) (place, bool) {
	dbg, ok := L.GetStack(level)
	if !ok {
		return place{}, false
	}
	fn, err := L.GetInfo("f", dbg, lua.LNil)
	if err != nil {
		return place{}, false
	}
	pc := reflect.ValueOf(dbg).Elem().FieldByName("frame").Elem().FieldByName("Pc").Int()
	return place{fn.(*lua.LFunction), max(int(pc)-1, 0)}, true
}
