package command

// HotKey is a key that is asked for often.
type HotKey struct {
	DB        uint32
	Key       []byte
	PerSecond float64 // operations, as estimated; over the last half minute or so
	Share     float64 // of all operations on keys, from 0 to 1
}

// hotKeysShown is how many are told of where nobody says otherwise.
const hotKeysShown = 10

// planEngineHotkeys keeps how many keys are wanted in Num.
func planEngineHotkeys(c *Call) {
	c.Reply.Num = hotKeysShown
	if len(c.Args) > 3 {
		c.wrongArity()
		return
	}
	if len(c.Args) == 3 {
		n, ok := parseInt(c.Args[2])
		if !ok || n < 1 {
			c.Fail("ERR value is out of range, must be positive")
			return
		}
		c.Reply.Num = n
	}
	c.Reply.Step = stepEngineHotkeys
}

func stepEngineHotkeys(x *Exec, r *Reply) {
	keys := x.Host.HotKeys()
	keys = keys[:min(int64(len(keys)), r.Num)]
	x.W.Array(len(keys))
	for _, k := range keys {
		x.W.Map(4)
		x.W.BulkString("key")
		x.W.Bulk(k.Key)
		x.W.BulkString("db")
		x.W.Int(int64(k.DB))
		x.W.BulkString("per_second")
		x.W.Double(k.PerSecond)
		x.W.BulkString("share")
		x.W.Double(k.Share)
	}
}
