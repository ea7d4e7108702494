//! What must happen at once in Redis, each on one key.

use redis::Script;

pub(super) struct Scripts {
    pub(super) touch: Script,
    pub(super) take: Script,
    pub(super) count_refusal: Script,
    pub(super) remember: Script,
    pub(super) spend: Script,
}

/// Moves last seen forward; 0 where the session is gone.
const TOUCH: &str = "
local seen = redis.call('HGET', KEYS[1], 't')
if not seen then return 0 end
if tonumber(seen) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 't', ARGV[1]) end
return 1";

/// Turns an open login that began after `ARGV[1]` into a used one, and says which sets count it.
const TAKE: &str = "
local login = redis.call('HMGET', KEYS[1], 's', 'c', 'b', 'a')
if login[1] ~= 'o' or tonumber(login[2]) <= tonumber(ARGV[1]) then return {} end
redis.call('HSET', KEYS[1], 's', 'u')
return {login[3], login[4]}";

/// Drops an open login at the refusal `ARGV[1]`.
const COUNT_REFUSAL: &str = "
if redis.call('HGET', KEYS[1], 's') ~= 'o' then return 0 end
if redis.call('HINCRBY', KEYS[1], 'n', 1) >= tonumber(ARGV[1]) then redis.call('DEL', KEYS[1]) end
return 1";

/// Puts `ARGV[2]` into a set at the score `ARGV[1]`, drops what lies below `ARGV[3]`, keeps the set for `ARGV[4]` seconds at
/// least, and takes out the lowest of more than `ARGV[5]`.
const REMEMBER: &str = "
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('EXPIRE', KEYS[1], ARGV[4]) end
local past = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[5])
if past <= 0 then return {} end
local lowest = redis.call('ZRANGE', KEYS[1], 0, past - 1)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, past - 1)
return lowest";

/// Adds `ARGV[1]` to a counter of at most `ARGV[2]`, which is forgotten `ARGV[3]` seconds after it began; 0 where it would
/// be more.
const SPEND: &str = "
local spent = tonumber(redis.call('GET', KEYS[1]) or '0')
if spent + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return 0 end
redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 1";

impl Default for Scripts {
    fn default() -> Self {
        Self {
            touch: Script::new(TOUCH),
            take: Script::new(TAKE),
            count_refusal: Script::new(COUNT_REFUSAL),
            remember: Script::new(REMEMBER),
            spend: Script::new(SPEND),
        }
    }
}
