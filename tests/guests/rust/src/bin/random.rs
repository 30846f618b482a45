//! Random bytes: they differ, they are spread out, and no length is special.
use guests::*;

fn fill(buffer: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: the buffer is live and exclusive.
    unsafe { random_get(buffer.as_mut_ptr(), buffer.len()) }
}

fn main() {
    check("zero bytes", fill(&mut []));
    let (mut a, mut b) = ([0; 32], [0; 32]);
    check("32 bytes", fill(&mut a));
    check("32 more", fill(&mut b));
    println!("they differ: {}", a != b);
    let mut guarded = [0x5a; 35];
    check("odd length", fill(&mut guarded[1..34]));
    println!("neighbours untouched: {}", guarded[0] == 0x5a && guarded[34] == 0x5a);

    let mut big = vec![0; 2 << 20];
    check("2 MiB", fill(&mut big));
    let mut counts = [0u32; 256];
    big.iter().for_each(|&byte| counts[byte as usize] += 1);
    // 8192 expected of each; the standard deviation is 90.
    println!("every byte value is as likely: {}", counts.iter().all(|&n| (7400..9000).contains(&n)));
    println!("no zero tail: {}", big[big.len() - 64..].iter().any(|&byte| byte != 0));
}
