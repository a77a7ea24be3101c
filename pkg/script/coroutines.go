package script

import lua "github.com/yuin/gopher-lua"

// coroutine: the interpreter's, in the words of Lua and with our clock.

// coroutines adds the library.
func (v *VM) coroutines(theirs *lua.LTable) {
	create, resume, yield := theirs.RawGetString("create"), theirs.RawGetString("resume"), theirs.RawGetString("yield").(*lua.LFunction)
	t := v.library("coroutine", map[string]lua.LGFunction{
		"create": func(L *lua.LState) int { L.Push(v.thread(L, create)); return 1 },
		"wrap":   func(L *lua.LState) int { return v.wrap(L, v.thread(L, create), resume) },
		"resume": func(L *lua.LState) int { return v.resumed(L, checkThread(L), resume, 2) },
		"status": func(L *lua.LState) int { L.Push(lua.LString(L.Status(checkThread(L)))); return 1 },
		"yield": func(L *lua.LState) int {
			if L.Parent == nil {
				L.Error(lua.LString("attempt to yield across metamethod/C-call boundary"), 0)
			}
			return yield.GFunction(L)
		},
	})
	t.RawSetString("running", theirs.RawGetString("running"))
}

// threadSize is how many bytes a thread takes at the least.
const threadSize = 64 << 10

func checkThread(L *lua.LState) *lua.LState {
	thread, ok := L.Get(1).(*lua.LState)
	if !ok {
		argError(L, 1, "coroutine expected")
	}
	return thread
}

// thread is a new one for the function that is the first argument.
func (v *VM) thread(L *lua.LState, create lua.LValue) *lua.LState {
	fn, ok := L.Get(1).(*lua.LFunction)
	if !ok || fn.IsG {
		argError(L, 1, "Lua function expected")
	}
	L.Push(create)
	L.Push(fn)
	L.Call(1, 1)
	thread := L.Get(-1).(*lua.LState)
	L.Pop(1)
	thread.SetContext(&v.ticks)
	v.ticks.make(threadSize)
	return thread
}

// resumed resumes a thread with the arguments from first on; it returns how
// many values it has pushed, of which the first tells whether all went well.
func (v *VM) resumed(L *lua.LState, thread *lua.LState, resume lua.LValue, first int) int {
	n := L.GetTop()
	below := frames(L)
	problem := ""
	if status := L.Status(thread); status != "suspended" {
		problem = "cannot resume " + status + " coroutine"
	} else if v.calls >= mostCalls || v.below+below > mostBelow {
		problem = "C stack overflow"
	}
	if problem != "" {
		L.Push(lua.LFalse)
		L.Push(lua.LString(problem))
		return 2
	}
	v.spend(L, 2*slotSize*n)
	v.calls++
	v.below += below
	defer func() { v.calls--; v.below -= below }()
	L.Push(resume)
	L.Push(thread)
	for i := first; i <= n; i++ {
		L.Push(L.Get(i))
	}
	L.Call(n-first+2, lua.MultRet)
	return L.GetTop() - n
}

// wrap pushes a function that resumes a thread and raises its errors.
func (v *VM) wrap(L *lua.LState, thread *lua.LState, resume lua.LValue) int {
	L.Push(L.NewFunction(func(L *lua.LState) int {
		n := L.GetTop()
		count := v.resumed(L, thread, resume, 1)
		if L.Get(n+1) != lua.LFalse {
			return count - 1
		}
		e := L.Get(n + 2)
		if text, ok := appendText(nil, e); ok {
			e = lua.LString(where(L, 1) + string(text))
		}
		L.Error(e, 0)
		return 0
	}))
	return 1
}
