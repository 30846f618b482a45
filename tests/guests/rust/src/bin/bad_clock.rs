//! A clock that does not exist.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(id: u32, precision: u64, time: *mut u64) -> i32;
    fn clock_res_get(id: u32, resolution: *mut u64) -> i32;
}

fn main() {
    for id in [4, 5, 255, u32::MAX] {
        let mut out = 77;
        // SAFETY: `out` outlives both calls.
        let errnos = unsafe { (clock_time_get(id, 0, &mut out), clock_res_get(id, &mut out)) };
        println!("clock {id}: {errnos:?}, out {out}");
    }
}
