"""Recordings that Debian's copyright files mark CC0, with their kind. Sounds of the hearing
yardstick are left out, so that its figures are of sounds never seen."""

import os
import re

SONIC_PI = "/usr/share/sonic-pi/samples"
AUDIOPHOB = "/usr/share/hydrogen/data/drumkits/Audiophob"

SONIC_PI_KINDS = {
    "ambience": "ambi_glass_hum ambi_glass_rub ambi_haunted_hum ambi_lunar_land ambi_sauna vinyl_hiss",
    "bass": "bass_dnb_f bass_drop_c bass_hit_c bass_thick_c bass_trance_c bass_voxy_c bass_voxy_hit_c glitch_bass_g",
    "kick": "bd_808 bd_fat bd_gas bd_haus bd_klub bd_tek bd_zome bd_zum drum_bass_hard drum_bass_soft elec_soft_kick",
    "cowbell": "drum_cowbell",
    "hat_open": "drum_cymbal_open",
    "hat_closed": "drum_cymbal_pedal",
    "snare": "drum_snare_hard drum_snare_soft elec_filt_snare elec_hi_snare elec_mid_snare elec_snare sn_dolf sn_dub "
             "sn_generic sn_zome",
    "crash": "drum_splash_hard drum_splash_soft elec_cymbal",
    "tom": "drum_tom_hi_hard drum_tom_hi_soft drum_tom_lo_hard drum_tom_lo_soft drum_tom_mid_hard drum_tom_mid_soft "
           "elec_fuzz_tom",
    "perc": "elec_blip elec_blip2 elec_flip elec_plip elec_pop elec_twip elec_wood glitch_perc1 glitch_perc2 "
            "glitch_perc3 glitch_perc4 glitch_perc5 tabla_dhec tabla_ghe1 tabla_ghe2 tabla_ghe3 tabla_ghe4 tabla_ghe5 "
            "tabla_ghe6 tabla_ghe7 tabla_ghe8 tabla_ke1 tabla_ke2 tabla_ke3 tabla_na tabla_na_o tabla_tas1 tabla_tas2 "
            "tabla_tas3 tabla_te1 tabla_te2 tabla_te_m tabla_tun1 tabla_tun2 tabla_tun3",
    "clap": "perc_snap perc_snap2",
    "mallet": "elec_chime elec_ping elec_bong",
    "guitar": "guit_e_fifths guit_e_slide guit_harmonics",
    "vocal": "misc_burp",
    "fx": "ambi_swoosh glitch_robot1 glitch_robot2 mehackit_phone1 mehackit_phone2 mehackit_phone3 mehackit_phone4 "
          "misc_cineboom perc_impact1 perc_impact2 perc_swash perc_swoosh perc_till vinyl_backspin vinyl_rewind",
}
AUDIOPHOB_KINDS = {
    "101450__menegass__tomh": "tom", "104227__minorr__hhat-paiste-302-14-open-p": "hat_open",
    "116973__cbeeching__hat-light": "hat_closed", "124101__connersaw8__crash": "crash",
    "124382__cubix__8bit-snare": "snare", "15590__lewis__sabmute": "cymbal", "156272__dayvonjersen__fxshake5": "perc",
    "25671__walter-odington__garage-city-snare-snappy": "snare", "86335__zgump__tom-0105": "tom",
    "99930__menegass__noise-tom0": "tom", "99931__menegass__noise-tom1": "tom",
}


def marked_cc0():
    """Base names of the sonic-pi samples whose paragraph in Debian's copyright file says CC0."""
    text = open("/usr/share/doc/sonic-pi-samples/copyright", encoding="utf-8").read()
    names = set()
    for paragraph in text.split("\n\n"):
        if re.search(r"^License: CC0\s*$", paragraph, re.M):
            names.update(re.findall(r"etc/samples/([\w-]+)\.flac", paragraph))
    return names


def recordings():
    """(file, kind, group) of every recording that may be trained on."""
    out = []
    free = marked_cc0()
    for kind, names in SONIC_PI_KINDS.items():
        for name in names.split():
            file = f"{SONIC_PI}/{name}.flac"
            if name in free and os.path.exists(file):
                out.append((file, kind, "sonic-pi"))
    for name, kind in AUDIOPHOB_KINDS.items():
        file = f"{AUDIOPHOB}/{name}.wav"
        if os.path.exists(file):
            out.append((file, kind, "Audiophob"))
    return out
