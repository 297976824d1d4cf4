// SPDX-License-Identifier: BSD-2-Clause
//
// What the precompiled header of the tests is compiled with (tests/CMakeLists.txt).
