package command

import "strings"

// absentNames lists what Redis has and kvstored does not, by what is lacking.
var absentNames = map[string]string{
	"there are no hashes here, only strings": `hset hget hdel hmset hmget hgetall hexists hincrby hincrbyfloat hkeys hvals hlen
		hsetnx hstrlen hscan hrandfield`,
	"there are no lists here, only strings": `lpush rpush lpushx rpushx lpop rpop llen lindex linsert lrange lrem lset ltrim
		lpos lmove lmpop rpoplpush blpop brpop blmove blmpop brpoplpush`,
	"there are no sets here, only strings": `sadd srem smembers sismember smismember scard spop srandmember smove sscan
		sinter sinterstore sintercard sunion sunionstore sdiff sdiffstore`,
	"there are no sorted sets here, only strings": `zadd zrem zscore zmscore zincrby zcard zcount zlexcount zrange zrangestore
		zrangebyscore zrangebylex zrevrange zrevrangebyscore zrevrangebylex zrank zrevrank zremrangebyscore zremrangebyrank
		zremrangebylex zpopmin zpopmax bzpopmin bzpopmax zmpop bzmpop zrandmember zscan zunion zunionstore zinter
		zinterstore zintercard zdiff zdiffstore`,
	"there are no streams here, only strings": `xadd xlen xrange xrevrange xread xreadgroup xdel xtrim xack xclaim xautoclaim
		xgroup xinfo xpending xsetid`,
	"there are no geospatial indexes here, only strings": `geoadd geopos geodist geohash georadius georadius_ro
		georadiusbymember georadiusbymember_ro geosearch geosearchstore`,
	"it tests Redis itself": `pfdebug pfselftest`,
	"there are no lists, sets and sorted sets here to be sorted":  `sort sort_ro`,
	"functions are not supported, scripts are: EVAL":              `fcall fcall_ro function`,
	"access is decided by the peer's user and group, not by ACLs": `acl`,
	"there is no replication and no cluster":                      `psync sync replconf restore-asking`,
	"files are the engine's own business":                         `bgrewriteaof`,
	"modules do not exist here, engines do: try ENGINE STATUS":    `module`,
	"it is not supported yet":                                     `migrate`,
}

// absentName is one name, with the reason.
var absentByName = map[string]string{}

func init() {
	for reason, names := range absentNames {
		for _, name := range strings.Fields(names) {
			absentByName[name] = reason
		}
	}
}

// absent says what is lacking for a command that only Redis has; "" when the
// name is nothing to Redis either.
func absent(name []byte) string {
	if len(name) > 24 {
		return ""
	}
	return absentByName[strings.ToLower(string(name))]
}
