/**
 * The words that names are made of: invented, pronounceable, none of them a word of the world's language. Every entity of
 * every world is called by two of them. The order is fixed: it gives the token ids of the shipped checkpoint.
 */
export const NAME_TOKENS: readonly string[] = `
  tuvon bozar zezul somun sepa bedu mozun malo sunor zegus vefol ripar zubin miva zagas rokin
  lakur loden zavan gekas metun vafon zibel ravas zelin nelin mibin somis kivun vavas fuves zikal
  riber tovon zonen gakal fumor libus vomos kerun rudis bemun zogus padin tinar zame gazal lezos
  favon zaris kugu kugo vukes gumel fipol linel petin ledal gamo sukis zule fador lunul kokin
  vorar dumal gisun kobis vidis supur foden vasos bizas dutul lumon nulir govil guben firo buzir
  bozun movor tega penon dimos dezin setur sege nisul goni zepa fuzir dize palor nagul fetun
  gise livel davur zotu pides tafor deran gular kako kalor zolun tagun velel vezi lozas mizo
  puver tomel sevus kazur veme rubun zedor velul livas gudal zabis gomol tupir zaful remin kural
`
  .trim()
  .split(/\s+/);
