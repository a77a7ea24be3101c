// The example engine in Rust: what simple.c does, over the maps of the standard library.
//
// simple_rs.c puts kvstore_simple.h around it, where each function's promise stands.
// An entry's position is its number of insertion, which it keeps.
#![crate_type = "staticlib"]

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr::{addr_of_mut, null};
use std::slice::from_raw_parts;

const KV_OK: c_int = 0;
const KV_NOT_FOUND: c_int = 10;

struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
}

struct Store {
    numbers: BTreeMap<Vec<u8>, u64>,
    entries: BTreeMap<u64, Entry>,
    last: u64,
}

type Found = extern "C" fn(*mut c_void, *const u8, usize, *const u8, usize);

// The host never makes two calls at once, and none outside open and close.
static mut STORE: Option<Store> = None;

unsafe fn store() -> &'static mut Store {
    (*addr_of_mut!(STORE)).as_mut().expect("the store is open")
}

#[no_mangle]
pub unsafe extern "C" fn rs_open() -> c_int {
    STORE = Some(Store { numbers: BTreeMap::new(), entries: BTreeMap::new(), last: 0 });
    KV_OK
}

#[no_mangle]
pub unsafe extern "C" fn rs_close() {
    STORE = None;
}

#[no_mangle]
pub unsafe extern "C" fn rs_get(key: *const u8, key_len: usize, value_len: *mut usize) -> *const u8 {
    let s = store();
    match s.numbers.get(from_raw_parts(key, key_len)).and_then(|n| s.entries.get(n)) {
        Some(entry) => {
            *value_len = entry.value.len();
            entry.value.as_ptr()
        }
        None => null(),
    }
}

#[no_mangle]
pub unsafe extern "C" fn rs_set(key: *const u8, key_len: usize, value: *const u8, value_len: usize) -> c_int {
    let s = store();
    let key = from_raw_parts(key, key_len);
    let value = from_raw_parts(value, value_len).to_vec();
    if let Some(entry) = s.numbers.get(key).and_then(|n| s.entries.get_mut(n)) {
        entry.value = value;
        return KV_OK;
    }
    s.last += 1;
    s.numbers.insert(key.to_vec(), s.last);
    s.entries.insert(s.last, Entry { key: key.to_vec(), value });
    KV_OK
}

#[no_mangle]
pub unsafe extern "C" fn rs_del(key: *const u8, key_len: usize) -> c_int {
    let s = store();
    match s.numbers.remove(from_raw_parts(key, key_len)) {
        Some(number) => {
            s.entries.remove(&number);
            KV_OK
        }
        None => KV_NOT_FOUND,
    }
}

#[no_mangle]
pub unsafe extern "C" fn rs_each(position: u64, found: Found, to: *mut c_void) -> u64 {
    match store().entries.range(position..).next() {
        Some((number, e)) => {
            found(to, e.key.as_ptr(), e.key.len(), e.value.as_ptr(), e.value.len());
            number + 1
        }
        None => 0,
    }
}
