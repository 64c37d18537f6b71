use super::*;
use flate2::Crc;
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};

const NO_LIMIT: u64 = u64::MAX;

fn png(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(pixels, width, height, colour)
        .unwrap();
    bytes
}

fn jpeg(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 100)
        .write_image(pixels, width, height, colour)
        .unwrap();
    bytes
}

/// A chunk of a PNG: length, name, data, checksum.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name, data].concat();
    let mut crc = Crc::new();
    crc.update(&named);
    [
        &(data.len() as u32).to_be_bytes()[..],
        &named,
        &crc.sum().to_be_bytes(),
    ]
    .concat()
}

/// Chunks of a PNG, with their names.
fn chunks(png: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut rest = &png[8..];
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        chunks.push((rest[4..8].try_into().unwrap(), rest[8..8 + length].to_vec()));
        rest = &rest[12 + length..];
    }
    chunks
}

fn assert_near(picture: &Picture, expected: &[u8], tolerance: u8) {
    let differences = picture.pixels().iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let most = differences.max().unwrap();
    assert!(
        picture.pixels().len() == expected.len() && most <= tolerance,
        "{:?} {expected:?}",
        picture.pixels()
    );
}

#[test]
fn sixteen_bits_become_eight() {
    let wide: Vec<u8> = [0_u16, 257 * 9, 257 * 9 + 128, 65535]
        .iter()
        .flat_map(|v| v.to_ne_bytes())
        .collect();
    let picture = decode(&png(&wide, 4, 1, ExtendedColorType::L16), NO_LIMIT).unwrap();
    assert_eq!(picture.pixels(), [0, 9, 9, 255]);
    let wide: Vec<u8> = [257_u16 * 40, 0, 65535]
        .iter()
        .flat_map(|v| v.to_ne_bytes())
        .collect();
    let picture = decode(&png(&wide, 1, 1, ExtendedColorType::Rgb16), NO_LIMIT).unwrap();
    assert_eq!(
        (picture.pixels(), picture.colours()),
        (&[40, 0, 255][..], Colours::Rgb)
    );
}

#[test]
fn what_is_transparent_is_laid_over_black() {
    let pixels = [200, 100, 50, 255, 200, 100, 50, 0, 200, 100, 51, 128];
    let picture = decode(&png(&pixels, 3, 1, ExtendedColorType::Rgba8), NO_LIMIT).unwrap();
    assert_eq!(picture.pixels(), [200, 100, 50, 0, 0, 0, 100, 50, 26]);
    let picture = decode(&png(&[90, 255, 90, 85], 2, 1, ExtendedColorType::La8), NO_LIMIT).unwrap();
    assert_eq!(
        (picture.pixels(), picture.colours()),
        (&[90, 30][..], Colours::Gray)
    );
}

/// A PNG of 2 x 1 pixels of a palette; each chunk in `more` stands before the pixels.
fn palette_png(more: &[Vec<u8>]) -> Vec<u8> {
    let gray = png(&[0, 1], 2, 1, ExtendedColorType::L8);
    let parts = chunks(&gray).into_iter().map(|(name, mut data)| {
        let mut before = Vec::new();
        match &name {
            b"IHDR" => data[9] = 3,
            b"IDAT" => before = more.concat(),
            _ => {}
        }
        [before, chunk(&name, &data)].concat()
    });
    [gray[..8].to_vec(), parts.collect::<Vec<_>>().concat()].concat()
}

#[test]
fn palettes_become_colours_and_their_transparency_black() {
    let palette = chunk(b"PLTE", &[1, 2, 3, 200, 100, 0]);
    let picture = decode(&palette_png(std::slice::from_ref(&palette)), NO_LIMIT).unwrap();
    assert_eq!(picture.pixels(), [1, 2, 3, 200, 100, 0]);
    let transparent = chunk(b"tRNS", &[255, 51]);
    let picture = decode(&palette_png(&[palette, transparent]), NO_LIMIT).unwrap();
    assert_eq!(picture.pixels(), [1, 2, 3, 40, 20, 0]);
}

#[test]
fn an_animation_gives_its_first_frame() {
    let [first, second] = [[10, 20], [99, 99]].map(|pixels| png(&pixels, 2, 1, ExtendedColorType::L8));
    let data = |png: &[u8]| {
        chunks(png)
            .into_iter()
            .find(|(name, _)| name == b"IDAT")
            .unwrap()
            .1
    };
    let control = |number: u32| {
        let numbers = [number, 2, 1, 0, 0].into_iter().flat_map(|n| n.to_be_bytes());
        chunk(b"fcTL", &numbers.chain([0, 1, 0, 10, 0, 0]).collect::<Vec<u8>>())
    };
    let parts = [
        first[..8].to_vec(),
        chunk(b"IHDR", &chunks(&first)[0].1),
        chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        control(0),
        chunk(b"IDAT", &data(&first)),
        control(1),
        chunk(b"fdAT", &[&2_u32.to_be_bytes()[..], &data(&second)].concat()),
        chunk(b"IEND", &[]),
    ];
    assert_eq!(decode(&parts.concat(), NO_LIMIT).unwrap().pixels(), [10, 20]);
}

/// A segment of a JPEG.
fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat()
}

/// A JPEG of 8 x 8 pixels of one colour in four channels, stored as given (Adobe stores inks inverted: 255 is none).
fn cmyk_jpeg(stored: [u8; 4]) -> Vec<u8> {
    // All steps of quantisation are 8, so the first coefficient of a block is the value less 128.
    let quantisation = [&[0][..], &[8; 64]].concat();
    let frame = [8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0];
    // Sizes 0 to 8 of the first coefficient have the codes 0000 to 1000; of the others, code 0 is the end of the block.
    let first = [&[0x00, 0, 0, 0, 9][..], &[0; 12], &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
    let others = [&[0x10, 1][..], &[0; 15], &[0]].concat();
    let scan = [4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0];
    let mut bits = String::new();
    for value in stored {
        let value = i32::from(value) - 128;
        let size = 32 - value.unsigned_abs().leading_zeros();
        let code = if value < 0 { value - 1 } else { value };
        bits += &format!("{size:04b}");
        bits.extend(
            (0..size)
                .rev()
                .map(|bit| if code >> bit & 1 == 1 { '1' } else { '0' }),
        );
        bits += "0";
    }
    bits.extend(std::iter::repeat_n('1', (8 - bits.len() % 8) % 8));
    let coded = bits.as_bytes().chunks(8).flat_map(|byte| {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }
    });
    [
        vec![0xFF, 0xD8],
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
        segment(0xDB, &quantisation),
        segment(0xC0, &frame),
        segment(0xC4, &first),
        segment(0xC4, &others),
        segment(0xDA, &scan),
        coded.collect(),
        vec![0xFF, 0xD9],
    ]
    .concat()
}

#[test]
fn cmyk_becomes_rgb() {
    for (stored, rgb) in [
        ([255, 255, 255, 255], [255, 255, 255]),
        ([0, 255, 255, 255], [0, 255, 255]),
        ([255, 0, 255, 255], [255, 0, 255]),
        ([255, 255, 0, 255], [255, 255, 0]),
        ([255, 255, 255, 0], [0, 0, 0]),
        ([200, 100, 50, 255], [200, 100, 50]),
    ] {
        let picture = decode(&cmyk_jpeg(stored), NO_LIMIT).unwrap();
        assert_eq!(
            (picture.height(), picture.width(), picture.colours()),
            (8, 8, Colours::Rgb)
        );
        assert_near(&picture, &rgb.repeat(64), 3);
    }
}

#[test]
fn a_jpeg_is_turned_as_its_metadata_say() {
    // Left half black, right half white; turned by 90 degrees clockwise, white is below.
    let pixels: Vec<u8> = (0..16 * 16)
        .map(|place| if place % 16 < 8 { 0 } else { 255 })
        .collect();
    let plain = jpeg(&pixels, 16, 16, ExtendedColorType::L8);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend([0; 4]);
    let turned = [&plain[..2], &segment(0xE1, &exif), &plain[2..]].concat();
    assert_near(&decode(&plain, NO_LIMIT).unwrap(), &pixels, 3);
    let below: Vec<u8> = (0..16 * 16)
        .map(|place| if place < 8 * 16 { 0 } else { 255 })
        .collect();
    assert_near(&decode(&turned, NO_LIMIT).unwrap(), &below, 3);
}

#[test]
fn what_is_no_whole_picture_is_refused_with_the_reason() {
    let pixels: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 37 % 251) as u8).collect();
    let png = png(&pixels, 32, 32, ExtendedColorType::Rgb8);
    let jpeg = jpeg(&pixels, 32, 32, ExtendedColorType::Rgb8);
    let mut corrupt = png.clone();
    corrupt[60] ^= 0xFF;
    for (bytes, reason) in [
        (&[][..], "is empty"),
        (b"class,file\ncat,1.png\n", "is not a picture"),
        (b"GIF89a\x01\0\x01\0", "is Gif; expected PNG or JPEG"),
        (&jpeg[..jpeg.len() - 2], "is truncated"),
        (&jpeg[..jpeg.len() / 2], "is truncated"),
        (&jpeg[..3], "is truncated"),
        (&png[..png.len() / 2], "cannot be decoded"),
        (&png[..20], "cannot be decoded"),
        (&corrupt, "cannot be decoded"),
    ] {
        let error = decode(bytes, NO_LIMIT).unwrap_err();
        assert!(error.contains(reason), "{error}; expected {reason}");
    }
    decode(&png, NO_LIMIT).unwrap();
    decode(&jpeg, NO_LIMIT).unwrap();
}

#[test]
fn too_many_pixels_are_refused_by_the_header_alone() {
    // A header of 100,000 x 100,000 pixels, and nothing behind it: decoding would need 30 GB, or fail for the missing pixels.
    let small = png(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
    let mut header = chunks(&small)[0].1.clone();
    header[..8].copy_from_slice(&[0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0]);
    let bomb = [&small[..8], &chunk(b"IHDR", &header), &chunk(b"IDAT", &[])].concat();
    let error = decode(&bomb, 64 << 20).unwrap_err();
    assert!(
        error.contains("has 100000 x 100000 = 10000000000 pixels; expected at most 67108864"),
        "{error}"
    );
    let picture = jpeg(&[7; 12], 4, 3, ExtendedColorType::L8);
    assert!(
        decode(&picture, 11)
            .unwrap_err()
            .contains("has 4 x 3 = 12 pixels")
    );
    decode(&picture, 12).unwrap();
}

#[test]
fn the_end_of_a_thumbnail_is_not_that_of_the_picture() {
    let picture = jpeg(&[9; 64], 8, 8, ExtendedColorType::L8);
    let with = [&picture[..2], &segment(0xE1, &picture), &picture[2..]].concat();
    decode(&with, NO_LIMIT).unwrap();
    assert!(
        decode(&with[..with.len() - 2], NO_LIMIT)
            .unwrap_err()
            .contains("truncated")
    );
}
