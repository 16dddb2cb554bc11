package data

import "golang.org/x/image/bmp"

var (
	decodeBMPConfig = bmp.DecodeConfig
	decodeBMP       = bmp.Decode
)
