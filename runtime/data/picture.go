package data

import "embed"

// PictureSource is the Go text of what turns an image file into pixels, for programs that contain it: all of it but the decoder of
// BMP files, which the standard library does not have.
//
//go:embed decode.go exif.go gif.go jpegcolor.go raster.go resize.go
var PictureSource embed.FS
