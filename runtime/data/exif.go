package data

import (
	"bytes"
	"encoding/binary"
)

// Orientation is what to do with a camera's note on how it was held.
type Orientation string

// The treatments of EXIF orientation: UprightEXIF turns the pixels, KeepPixels leaves them as stored, which Keras does.
const (
	UprightEXIF Orientation = "exif"
	KeepPixels  Orientation = "keep"
)

// orientationOf returns the EXIF orientation noted in a JPEG or PNG file, 1 (upright) where there is none or it cannot be read.
func orientationOf(file []byte, f format) int {
	switch f {
	case formatJPEG:
		return tiffOrientation(jpegEXIF(file))
	case formatPNG:
		return tiffOrientation(pngEXIF(file))
	}
	return 1
}

// jpegEXIF returns the TIFF block of the EXIF segment among a JPEG file's header segments.
func jpegEXIF(file []byte) []byte {
	for at := 2; at+4 <= len(file) && file[at] == 0xff; {
		marker, size := file[at+1], int(binary.BigEndian.Uint16(file[at+2:]))
		const startOfScan, app1 = 0xda, 0xe1
		if marker == startOfScan || size < 2 || at+2+size > len(file) {
			return nil
		}
		if tiff, ok := bytes.CutPrefix(file[at+4:at+2+size], []byte("Exif\x00\x00")); ok && marker == app1 {
			return tiff
		}
		at += 2 + size
	}
	return nil
}

// pngEXIF returns the contents of a PNG file's eXIf chunk.
func pngEXIF(file []byte) []byte {
	for at := len(pngMagic); at+12 <= len(file); {
		size := int64(binary.BigEndian.Uint32(file[at:]))
		if int64(at)+12+size > int64(len(file)) {
			return nil
		}
		if string(file[at+4:at+8]) == "eXIf" {
			return file[at+8:][:size]
		}
		at += 12 + int(size)
	}
	return nil
}

// tiffOrientation returns tag 0x112 of the first directory.
func tiffOrientation(tiff []byte) int {
	const upright = 1
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return upright
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			break
		}
		const tagOrientation, typeShort = 0x112, 3
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return upright
}
