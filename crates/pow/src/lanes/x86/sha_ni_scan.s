// The group of five headers, see sha_ni_scan.rs. AT&T syntax, {t} is the table.
// eax, ecx, edx, the scalar work, xmm0, words of two rounds, xmm1 … xmm10, the states,
// xmm11 … xmm13, the next quad and what it is made of.
.set Lgruve_schedule, 0
.set Lgruve_nonces, 320
.set Lgruve_quads4, 400
.set Lgruve_quads5, 480
.set Lgruve_last, 560
.set Lgruve_after_four, 592
.set Lgruve_midstate, 624
.set Lgruve_quad7, 656
.set Lgruve_iv, 672
.set Lgruve_pad, 704
.set Lgruve_bits, 720
.set Lgruve_k, 736
.set Lgruve_first_constant, 992
.set Lgruve_second_constant, 1088
.set Lgruve_c18, 1152
.set Lgruve_c19, 1156
.set Lgruve_w16, 1160
.set Lgruve_next, 1164

// Calls a macro for each stream, its number, registers of its state (a, b, e, f and c, d, g, h).
.macro gruve_all op, x
    \op 0, 1, 2, \x
    \op 1, 3, 4, \x
    \op 2, 5, 6, \x
    \op 3, 7, 8, \x
    \op 4, 9, 10, \x
.endm

// Four rounds with quad q, whose words are in xmm0.
.macro gruve_rounds i, a, c, q
    paddd Lgruve_k + 16*(\q)({t}), %xmm0
    gruve_two_pairs \a, \c
.endm

// Four rounds with the words and round constants in xmm0.
.macro gruve_two_pairs a, c
    sha256rnds2 %xmm0, %xmm\a, %xmm\c
    pshufd $14, %xmm0, %xmm0
    sha256rnds2 %xmm0, %xmm\c, %xmm\a
.endm

// Four rounds with a constant quad at table offset x.
.macro gruve_constant i, a, c, x
    movdqa \x({t}), %xmm0
    sha256rnds2 %xmm0, %xmm\a, %xmm\c
    movdqa \x + 16({t}), %xmm0
    sha256rnds2 %xmm0, %xmm\c, %xmm\a
.endm

// Quad q, sha256msg2 of xmm11 and the quad before, kept, and its rounds. Three operands where a copy is
// saved by them; measured, they pay here and in gruve_align and nowhere else.
.macro gruve_finish i, a, c, q, before
    sha256msg2 \before, %xmm11
    movdqa %xmm11, Lgruve_schedule + 64*\i + 16*((\q) & 3)({t})
    vpaddd Lgruve_k + 16*(\q)({t}), %xmm11, %xmm0
    gruve_two_pairs \a, \c
.endm

// xmm12, the quad before q, xmm13, words 4q - 7 … 4q - 4.
.macro gruve_align i, q
    movdqa Lgruve_schedule + 64*\i + 16*((\q + 3) & 3)({t}), %xmm12
    vpalignr $4, Lgruve_schedule + 64*\i + 16*((\q + 2) & 3)({t}), %xmm12, %xmm13
.endm

// xmm11, sum of everything in quad q but sigma1.
.macro gruve_sum i, q
    movdqa Lgruve_schedule + 64*\i + 16*((\q) & 3)({t}), %xmm11
    sha256msg1 Lgruve_schedule + 64*\i + 16*((\q + 1) & 3)({t}), %xmm11
    gruve_align \i, \q
    paddd %xmm13, %xmm11
.endm

.macro gruve_next i, a, c, q
    gruve_sum \i, \q
    gruve_finish \i, \a, \c, \q, %xmm12
.endm

// The small sigma 1 of eax.
.macro gruve_sigma1
    rorx $17, %eax, %ecx
    rorx $19, %eax, %edx
    shr $10, %eax
    xor %ecx, %edx
    xor %edx, %eax
.endm

// A part of the scalar work for stream i of the next group, what stands beside quad q of the
// first hash.
.macro gruve_prepare i, q
    .if \q == 8
        mov Lgruve_next({t}), %eax
        add $\i, %eax
        bswap %eax
        mov %eax, Lgruve_nonces + 16*\i + 4({t})
        mov %eax, Lgruve_nonces + 16*\i + 12({t})
        add Lgruve_c19({t}), %eax
        mov %eax, Lgruve_quads4 + 16*\i + 12({t})
    .elseif \q == 9
        mov Lgruve_nonces + 16*\i + 4({t}), %eax
        rorx $7, %eax, %ecx
        rorx $18, %eax, %edx
        shr $3, %eax
        xor %ecx, %edx
        xor %edx, %eax
        add Lgruve_c18({t}), %eax
        mov %eax, Lgruve_quads4 + 16*\i + 8({t})
    .elseif \q == 10
        mov Lgruve_quads4 + 16*\i + 8({t}), %eax
        gruve_sigma1
        add Lgruve_pad({t}), %eax
        mov %eax, Lgruve_quads5 + 16*\i({t})
    .elseif \q == 11
        mov Lgruve_quads4 + 16*\i + 12({t}), %eax
        gruve_sigma1
        mov %eax, Lgruve_quads5 + 16*\i + 4({t})
    .elseif \q == 12
        mov Lgruve_quads5 + 16*\i({t}), %eax
        gruve_sigma1
        add $640, %eax
        mov %eax, Lgruve_quads5 + 16*\i + 8({t})
    .elseif \q == 13
        mov Lgruve_quads5 + 16*\i + 4({t}), %eax
        gruve_sigma1
        add Lgruve_w16({t}), %eax
        mov %eax, Lgruve_quads5 + 16*\i + 12({t})
    .endif
.endm

// The first hash, the state after four rounds, then quads 1 to 3, the same for all jobs.
.macro gruve_begin_first i, a, c, x
    movdqa Lgruve_after_four({t}), %xmm\a
    movdqa Lgruve_after_four + 16({t}), %xmm\c
    paddd Lgruve_nonces + 16*\i({t}), %xmm\a
.endm

// Quads 4 and 5, which are prepared.
.macro gruve_first_4 i, a, c, x
    movdqa Lgruve_quads4 + 16*\i({t}), %xmm0
    movdqa %xmm0, Lgruve_schedule + 64*\i({t})
    gruve_rounds \i, \a, \c, 4
.endm
.macro gruve_first_5 i, a, c, x
    movdqa Lgruve_quads5 + 16*\i({t}), %xmm0
    movdqa %xmm0, Lgruve_schedule + 64*\i + 16({t})
    gruve_rounds \i, \a, \c, 5
.endm

// Quads 6 and 7 without the ingredients that are zero.
.macro gruve_first_6 i, a, c, x
    gruve_align \i, 6
    movdqa %xmm13, %xmm11
    gruve_finish \i, \a, \c, 6, %xmm12
.endm
.macro gruve_first_7 i, a, c, x
    gruve_align \i, 7
    movdqa %xmm13, %xmm11
    paddd Lgruve_quad7({t}), %xmm11
    gruve_finish \i, \a, \c, 7, %xmm12
.endm

.macro gruve_first_next i, a, c, q
    gruve_next \i, \a, \c, \q
    gruve_prepare \i, \q
.endm

// Between the hashes, the digest becomes quads 0 and 1 of the second, rounds of quad 0.
.macro gruve_between i, a, c, x
    paddd Lgruve_midstate({t}), %xmm\a
    paddd Lgruve_midstate + 16({t}), %xmm\c
    pshufd $0x1b, %xmm\a, %xmm11
    pshufd $0xb1, %xmm\c, %xmm12
    movdqa %xmm11, %xmm0
    pblendw $0xf0, %xmm12, %xmm0
    palignr $8, %xmm11, %xmm12
    movdqa %xmm0, Lgruve_schedule + 64*\i({t})
    movdqa %xmm12, Lgruve_schedule + 64*\i + 16({t})
    movdqa Lgruve_iv({t}), %xmm\a
    movdqa Lgruve_iv + 16({t}), %xmm\c
    gruve_rounds \i, \a, \c, 0
.endm
.macro gruve_second_1 i, a, c, x
    movdqa Lgruve_schedule + 64*\i + 16({t}), %xmm0
    gruve_rounds \i, \a, \c, 1
.endm

// Quads 4 to 7 of the second hash, some of whose ingredients are constant.
.macro gruve_second_4 i, a, c, x
    movdqa Lgruve_schedule + 64*\i({t}), %xmm11
    sha256msg1 Lgruve_schedule + 64*\i + 16({t}), %xmm11
    gruve_finish \i, \a, \c, 4, Lgruve_bits({t})
.endm
.macro gruve_second_5 i, a, c, x
    movdqa Lgruve_schedule + 64*\i + 16({t}), %xmm11
    sha256msg1 Lgruve_pad({t}), %xmm11
    movdqa Lgruve_schedule + 64*\i({t}), %xmm12
    movdqa %xmm12, %xmm13
    palignr $4, Lgruve_bits({t}), %xmm13
    paddd %xmm13, %xmm11
    gruve_finish \i, \a, \c, 5, %xmm12
.endm
.macro gruve_second_6 i, a, c, x
    gruve_align \i, 6
    movdqa %xmm13, %xmm11
    paddd Lgruve_pad({t}), %xmm11
    gruve_finish \i, \a, \c, 6, %xmm12
.endm
.macro gruve_second_7 i, a, c, x
    movdqa Lgruve_bits({t}), %xmm11
    sha256msg1 Lgruve_schedule + 64*\i({t}), %xmm11
    gruve_align \i, 7
    paddd %xmm13, %xmm11
    gruve_finish \i, \a, \c, 7, %xmm12
.endm

// The last two rounds that matter.
.macro gruve_last i, a, c, x
    gruve_sum \i, 15
    sha256msg2 %xmm12, %xmm11
    paddd Lgruve_k + 240({t}), %xmm11
    movdqa %xmm11, %xmm0
    sha256rnds2 %xmm0, %xmm\a, %xmm\c
    movd %xmm\c, Lgruve_last + 4*\i({t})
.endm

gruve_all gruve_begin_first, 0
gruve_all gruve_constant, Lgruve_first_constant
gruve_all gruve_constant, Lgruve_first_constant+32
gruve_all gruve_constant, Lgruve_first_constant+64
gruve_all gruve_first_4, 0
gruve_all gruve_first_5, 0
gruve_all gruve_first_6, 0
gruve_all gruve_first_7, 0
.irp q, 8, 9, 10, 11, 12, 13, 14, 15
    gruve_all gruve_first_next, \q
.endr
gruve_all gruve_between, 0
gruve_all gruve_second_1, 0
gruve_all gruve_constant, Lgruve_second_constant
gruve_all gruve_constant, Lgruve_second_constant+32
gruve_all gruve_second_4, 0
gruve_all gruve_second_5, 0
gruve_all gruve_second_6, 0
gruve_all gruve_second_7, 0
.irp q, 8, 9, 10, 11, 12, 13, 14
    gruve_all gruve_next, \q
.endr
gruve_all gruve_last, 0
.purgem gruve_all
.purgem gruve_rounds
.purgem gruve_two_pairs
.purgem gruve_constant
.purgem gruve_finish
.purgem gruve_align
.purgem gruve_sum
.purgem gruve_next
.purgem gruve_sigma1
.purgem gruve_prepare
.purgem gruve_begin_first
.purgem gruve_first_4
.purgem gruve_first_5
.purgem gruve_first_6
.purgem gruve_first_7
.purgem gruve_first_next
.purgem gruve_between
.purgem gruve_second_1
.purgem gruve_second_4
.purgem gruve_second_5
.purgem gruve_second_6
.purgem gruve_second_7
.purgem gruve_last
