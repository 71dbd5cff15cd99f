"""Properties of characters, measured by tools/unicode_tables.py: do not edit.

Each is the base85 of zlib of varints: how far a range begins behind the end of the last one, and how long it is.
"""

from __future__ import annotations

TABLES = {
    "Arabic": (
        "c-m{=VP#}v<YQ!JRAA)dmSW6dR0=Toz$nki#Olo`d*KOlvA}C4rT`{0c18t(0#?R$#>aB<&dla44f~i`7^NAR7(s}Ok%bWm*dP=m"
        "&@_lR41jnnjO;*ZkOD47K~`o)Rz^V+CIB#-3`q"
    ),
    "Armenian": ("c-q^@rN(5$#N7OvnH2yJ!2*#"),
    "Bengali": ("c-m_aW?|%DVqy|wWM^b#W?|w4vROD7S(q4EnIr)h4*?S"),
    "Cc": ("c-mu7h*tyv0Yd<x"),
    "Cf": ("c-mXb$asm1O^opXBcmZ>12a<q<7zp^Km4pxtcI+NT>X2Q8GkY|A5>)IXME%)@L&QH%Xv+Xwz~$5atQ#5)DEo"),
    "Co": ("c-m_?z}#Te&}Z@QKQj{$0{}P}2R;"),
    "Cyrillic": ("c-m{=Xk}zt$#_AJdjTV(594zMg##ZL6Z+OOGBq4wwo_yT0HNgx(f"),
    "Devanagari": ("c-m_a3S{ADl6tU@Nul8hBNqT55d=a"),
    "Ethiopic": ("c-m`F@nmFSVrOIolA1uQ2<P!LS^`ODCIx1xXU5{3?2IUI(Jw|eCLjcfZ~V!^&d9>Z#K;c-{9p%9"),
    "Georgian": ("c-mW_sK&_1%E+Y6$TC4(n~C{=0+<f~C`khc"),
    "Greek": (
        "c-s5G#=^+V#KOo3M2w8gKrF&&&nK|Vh}DRdg*Aln0FxLK8<QFkb1*`HJd-ISKO-L#8>282Gb876CdPeJm>6%ZX7m?iyuX0i4FEvI3TO"
    ),
    "Gujarati": ("c-m_eWoG1LWM&j&WM^bzWM$$4vYD9}`B|8F*x3OWaRC+"),
    "Gurmukhi": ("c-m_eVP<4wVPX<vWM^aoK_*5<Rv@35nUS4^k&#^x02)XE3;"),
    "Han": ("c-jF)0J{HxT^a#d4AucJ0RaIS2@V9r2f#BxfTRI{vH|V_0&0lr0RjvHj-UeI%>p30AO_w60)j0Lu{sa#1fmn31mX+JCI#Riugev4"),
    "Hangul": ("c-m`FYG7Jt!_>$WS19i&|L`rNY%}YUa2|0M!zKRm%xp{`$P56^;0W0"),
    "Hebrew": ("c-ouDZO$Rh!nWcSvlJsMBO@ad5OM(kDxd<%"),
    "Hiragana": ("c-lLd5XQ#*@E_}ZCLu;y=CzHCi~v1K1!("),
    "Kannada": ("c-m`_<Yi=L6ldgOWM$$6vRK%e*q9hun7A030T$>14g"),
    "Katakana": ("c-mW-7{$c=fl=TBqdsFq-wb9hM%_yfm{=Iu8JQRv=QA-IG4inh0JG-@%K"),
    "Khmer": ("c-m{wk7MFu<9f!d000dM0y6"),
    "Lao": ("c-m`}WnyGxWMz~9lHyFPK$4x2i-`pQ5+eZq"),
    "Latin": (
        "c-nK6Vw2Km<Y#0RXOw3=$gIvf+eD4ckd=j%m(k6!f$1X?BQK)>Z!aSg8>2L%pyqW^g+*T()0mx^m>3xuIYjw3uxT@LGO|pY&&WQD"
        "18CM#0X9Z0M$V(_nC02n0HiGsVg"
    ),
    "Ll": (
        "c-qZVJxc>Y5arF@e%vLVnCPK<DMA!6B*j6nv9YrEFWC4GECta*YwZ;5C9O7AT3LvH#zxD`?inx_HJWhX<8GO^vpe$`-tO5gw3lHp"
        "9cTjo&2>RO5)`<V84Yv(6D}qa3N&7RydSwOfvKU%mk5S@2kE0%$<k^_S3%;t>eA^U>SdF=gtJeZP%^UiQ_>;vF4ge@>pkdh&!M%C"
        "e~7UB4n{?Wk*_fs4+&Ci3y=wjw<3<tosk7nHW1sH69G2SU&=mg4(}|2lI2f@wC`43ch0<c{oCdG54qD3CT5grM$H`LOnm*oiet-9"
        "e?DxP-KmZY_3pzpbXDFM`x0)PVeJYP%tM1t;@)9$pEQs9XkI?UT8)~u*45Ie*diK@6)0Qyf!jF3qEc`5)&N)(B60"
    ),
    "Lm": (
        "c-jrhA!|ZW7=U5k?>pz-9o%s;aF)SjAc(`i;QR^x0b!;wG}%mBQ5Z~%U|tZlC>l%#^V$ts7OtYOZeP$RKXZF)u9G$d+F*&5KNuoi"
        "5yJxx<r~JZalErM{Cesf4Uq;jo;{Dbg~gNdyNsM*4O`{OT53|&K@0~M^n@n&(sC6tys65i-0=ww((-B?oe30We-lu^^%G=?R+xX)"
        "yo`)53w(WG2$980>4$I{vb*98I}s%W"
    ),
    "Lo": (
        "c-mD{O^6&t6y|$X)m>fF|MS!Hv)wbZGds@g&SYkinI*}BS+lwl0_LVD5>OA~58|RXJuDLOl8c9cD0t9-=*1Neag&QeWDykv!J~wr"
        "UX<uX)}yayjgT(7ntt`Zdhh$*d!GOSb_r7c0Nk(|QjS_M9l|p}m5d;SK$bpUK($@2tk&#;s=|r}8|wlwY!e1j6Hx^=Af#Y#k05+9"
        "(3U*1Q@)xKD2mX5z>!Vm_<#}=?&24=jL`uiz!CzI!viEp2;o*R(~M3K3e@?4D1$t*m>k(;Q$SH3VUTC7gcemx#i9y_FR@QgK(4is"
        "->6XK-GCgBN@NRXG`bD-%32AbC7FdFTS(8v&Nr+KF*V)?{I>u93vi0}t(9=+4@nW~>b#}x*em+6?=gc}A6p&FZAHr*Zre1c8L7fh"
        "*4GnfzK3z7*E5gIu-+XAlkG@YOcU3&JWNhj6UW9q>m!Ld<f9sRLPD+KV$_<1yYkBun^&#^hkC28FOv)noyBzfW8hf`n`Mwl(wTq!"
        "eoHX_!jeg9sXZPka*V<t5zwWOWrjG;r6W?gGF1`<8@@%n@+{s)C%yWZo5<;<vv-J|-^yk4SU@bw`eOTciZ^M!@4l+=7M?R0QBy3?"
        "BswnYD6&^T{_<;Yid0O;Ew99l(K8u!rQXFOPxtlg$(ehNoQl!!z~UT+xe}C^#A!ajXj3uu?UNR5B9P1}T}?&W(O7D%^GVT*UpjXU"
        "-5z(>9<5pwij9<8ud*5+D>o8%eu@a*s8y?XQ%*#81l)-)%bb2EMy*I^7S-etF!s22Pb0=~Rc3OU=m9l$8_r`{64|80rY|ra$nK<s"
        "jWrJsH&*O@41a`XO*A8_0lQz+bRW+SmSFle$|xKwB0hJ3cGJO1glYD29;sJGjcbpVj{_<)&cpKSxbUw18*bve(o?~nj;z{yO?4pm"
        "=h<y<U)s&+LX^dm6J=HWT=cJq^9rBhpRxYQ8JNR|KIGO+c|3fnFN;g@3(6CYZT@-?e~VEYUr`nhe-Vve^FjNQyF}*o!PmH9BpNwc"
        "$}7xr@&q1zxH<l_-+l5wi5x2zV-&Gm3enBwTi;XbddvD5^v1~l>~wHPeo%a0-Y$IGQ@2|G0ua`8<N"
    ),
    "Lt": ("c-lM4%*X_UYK&8@IY5Aik)KhY5da{u0z3"),
    "Lu": (
        "c-nK6N)=~hS7am)FcIJrqn()v%wlF@0g*r+6HE?_m_cl2Ms`LfMkXTc1FK<XBpa{;4FH<J0^=_PS;5T6!N>+NmWff2ky9DyB3yQ`"
        "f}PD|Y(UT|PAY^s6C-T_liEo!HISz+v4%|+WMtE3Vm?4?JIMo_w6}qSgN=&=2-vuxA{-nZEIc5{%FWWo1WYu*<O@u|%&cq>c@`!X"
        "E+$q+TgE>k1_scS&InFiOpF}Nv=0*wuw`dIk)}%+k6b${moh(ap`>6ID2Ew)u3|+KVS$tjFkuPC)$16gj&f>rFsjU9<Ywdtl^Cyh"
        "jps6o?GjUHSk0)g;54HY7=W@T5CO{@4j>O0ZA=`D?9!m<0~*H6E-i%sa*~QL$hcKW2>>SyA5{"
    ),
    "Malayalam": ("c-m`_;$>uJGzMZe76B$H01QO|8v"),
    "Mc": (
        "c-ke9y-Gtt5QX{9+`GB=5`zQ+5u$d2N-zW@a5W0HwiY&){t!?QA3!A72E@V_urj?5U?ui87Gh~57AdrJHnQw4J2U5eGdrx)LzX3|"
        "tI~p`f>lb}@tuLzRRaI<BYCM|1<Te?`Z1HrW4T(?T%AsHE84Y?)%7B6Ge!vkX-<Wy(vX5E?6=ASS5V2&n-W<f!Ut1U?$j*YK!?-;"
        "sPDCjb2gn0rcRb=3=JNaH2HRK_SKyop*1@0B|GzOo3!2Q)UzpHXu7z4_86D6op(V~8+0t!3<qYOeZUq~Dzaobh4!oxRY^P!Epz(7"
        "g1_aC7W_K*V1%H+F>%!EsQif&PgRWYzfIU<UR&H5H3me}S5nvWE>*qh=<+$l?pwVRO`hB?`~ezuC+h"
    ),
    "Me": ("c-rgWWZI&`IFE;gk-58@i5UPK@B=~"),
    "Mn": (
        "c-kdWJ7`rw6lCU{y}S4GKGFQ+dptC15=nfCVoX9bB7|7^K?}7|#8@bTjTYJj1i?ZG_=|;-#>Pew1VMsUVk4xmOJf8pA=ueS@a*&M"
        "g}u9bW@cy3T}W;`q`S{y0JMR*yxCF3yk|l}cc9*PKA%iebSqK_+#Z=qhq}=iH-H9(_>477LN%bBy&xx`R8j<W3i7yipxS9?0;^;M"
        "!ZT+b(<m@zw8kb*pmDd>s!8D3&TX9Ff94wI-~~7b`XXEc)7&3pAL27!hAFrl{VA@fK}q&drK%<SOi;l`CvUyfShq1l_yFc9hK=tg"
        "x8s&5QzWux)g}%fNg0xiXqHhO)h0~9-hs4W!@NNbT7jWuGLTDVpadU<g`Y9A>PnVNvDqaLfQyY+s@M4Km$}XwJi$dnL(xNrr(o}v"
        "5_W~2d_<avsqMy53!W?xuowGGfpnJG5Cb-1ixh8O0PC(=t$y|R0X&AgR}!<Y1EP2duBaYyE97yV%}4bP4pausS0<xI?=da?4&e|A"
        "?oTr%E{L&PM#OUy3mq1?V5b*1o0MANmU$*bt6ey4?K1>7povX=@xZWG(IUWnoE7e_WyuA`He=BMw%5o85?UM6gfe11c_QAz!l_QX"
        "kTKm(BwDlB=b{qUXurXJXOWxg&p{-WFJ}vpPg~uTUkW&^C-MFnxZXd)u4R?BKwsBKkPnq{9SbO<)1k7Od9=0o-DNDp{~@OJujnTD"
        "-TCYO-RtIW`~%)AN=*"
    ),
    "Mongolian": ("c-m_)U}9oq6k&^G*WUV@nHK;Qq5~W"),
    "Myanmar": ("c-m`FSipE-6O(+R!i5`*A^<0-1rq"),
    "Nd": (
        "c-m!+F$w}f3`NO|JH=B3MZJO6Vr^|@ZEfWdtOa3fL6~amsjMx<YEPhhl(F>>mJ$+@{QQ?CX+UkXM&mjD#a_7~I+b?Ff}7)HBqMM)"
        "cEuWKuZ~nn6=kMn^hBN1ed>|qCKS(_ixp7kgv^cuVX`H8HL;Q@n|^5Q&f<@M=-4AajMsGa92YHnKE^u`=X?PT2P;q"
    ),
    "Nl": ("c-niX%luwMnTh3}45K6`AM@(Bj9eGCFq)oWX5?UOV`N?BkPiT`&k3{"),
    "No": (
        "c-jHD07w6_0Rja90t2-Y2KWL7cmst22iXA!5ecya3bhCn^9Tyy0|Au{0RsjG3dR8tDFN06JWdw&1Rm)M0h9>@iUA592mucu3MUWn"
        ">H!APu>mbX1Q7z&0vjX*v<e6r2PX+j1r`RN0RjRL0xm!aGy)z2O9f~M7zil`$^r)90w10M3MvF}2ZjL@`vMfj3IeVJ3FihA(*_lW"
        "mjMT!1{bNw0Tc`rY#Gif384o&0RsU9Of3Nq!UqjrlPAy"
    ),
    "Pc": ("c-o6+yl>AW%y@4%Gm`}Kdqze8CxQe&"),
    "Pd": ("c-qrtyu-z4%y>|Sv6X|dQ-G~ehLMR;o{5D~hH)P=qcCGW<AmAFOsb4rj4K%#9{>fJ7y<BS2}u"),
    "Pe": (
        "c-qrsG-i}%+$+n-$as&BaiuV$IU_&gFBTwIj&UCcBQgkJRDiRmFf(EU4nVBPxD=*O2THF&sD`nanC8u5X1vMBD2rwUGov7wUd0G@"
        "850l!0E><b+y"
    ),
    "Pf": ("c-q^|$avR|k(p73@q{!ZBO?nV6C*#63jj3y0{s"),
    "Pi": ("c-mXd$oR&Nk%@_kQIhe5G$SJ;3nLRFKO-|E062C6`~"),
    "Po": (
        "c-mc%KS-5f6o+|!=e+Ox-A_MtkQ<R8LPnO5E<y-l5d@c@A&?RyA_yg-OEnZ+M1&g+MJ^879~y+Dg4Tj;XmM}RsVT6gf~M*Yy{?@z"
        "oZ-OldH4+(Ci1A1=>Vq*^eFK$Q1IE}2oospsQUA%z#4vyqdniTiQYllQprQO%RTNJ-TV+Ul-i&dnlyszW_%4_z1EJj?2Mj~iNg_p"
        "FYTa367fZ*rvYpEWH_OzqKi*aMN!n`GV986<=TEnO&%l9x~gR(GCE|G=YJ)8V|JWPSo($@$*xjzJ9gyLI&3hmV_d2F)ba)O={Kye"
        "lSG|<<wV1i#hkdpe{~$plr^)bfia#NyMZkjWLdRCG}Ebc(ch&o>YJn+!WVo@=iJ$==|a5DD`nSPq0EVM{9)g`4OC}Y!aDFk_5@~&"
        "^G3K-Zo}npMD3tP^%i~>p;Oo2J8HwpP_W_lQobcVtitYO_*Lgi)IaxxL2>"
    ),
    "Ps": (
        "c-qroG-8xz+$YP($as&B@t+VQGou=#IU_&gFBYJX9OFI?Mr07cr~qeAVP?bz9DrDnaVbonB%=_NwFaRc#$sYzIE$I_IwPYjnjy@L"
        "f?#?TBiMb+K$QUU!VFp"
    ),
    "Sc": ("c-m88tYvx0$ym+!iJ1wA*crbvGPW}@9%W&iEzEdCQ1N>o6XW64jEp&qvltm~GcqwVeY0no*T&4aL6{K$=^+pW"),
    "Sinhala": ("c-m`}W@Z#(mSE&$WMpDzW@KSwWMt%E<6>fd)6OCS03QGXoB"),
    "Sk": ("c-o6&WMp(_WMgDuWM=GSVd3FpWe17~mNN1&HE}U+(PLy}=4R#vL8dv1Opo6%igPlhGhJW@${$<6DEONVsCp42<MbEItN>$c3}p"),
    "Sm": (
        "c-qru6kxVxWMtH3WMNcglxO_M%Gl4syxWA4mr<RWm${pfQJs~I(S?<jiG`5~2-z9snV5j;<$IVEn4%cvBsJKsGBa{AnsMYaUSMKn"
        "lIId=U}|O*vu9CYYGN`FWn#NCpP6w78zUq05=N+9&5Vp}EDNQXHcnz@lmyy|ir45d0RUB;6GZ"
    ),
    "So": (
        "c-kG1J!n)>5JoxQoqON^zFkaK4fu8ubQ9R9D412E1S=~cl?Z~3jg^g%GOIBNVj+kYqJ@Hjg`FS@LK;OZjDG|Ro1p2_7)2Z3I#bPe"
        "hB+{gK^X8c;<~h`_mHwpzhKGuDXtLUDy+g3*PJWCDU30yW#XF3+iSGx)6bqyp8M=xSDGYC+32v+S`fnj^?J<I7zsJ5#H*%tM|4yt"
        "bZ#iNF-4lE+Bq3cwzK(D?dOniIKIel`u(|~hIU|Fp{FhvHV7Niz6s9cYfLnaLOC_m2g%az-h^f+t76J-+ACMIa%k@6Q)bqKrM2yq"
        "xi^n!E;8+YI2@)zFO(c<$x%4=PyflaYHaP`b}P2lyE~X??IC=xHfcU{_qa5>McUJ>cWp(L9UDL4c**G}$<Su(U`zwOE%?^va{XK1"
        "xAS?al9D~!A28Te^eu_h2zU95|LU#f3b$bALT;3~4dOIR#+7o@@h{37DqQLZQK>8>(JeUp57Wg%sQ"
    ),
    "Tamil": ("c-m_cXJTYyW@cnzW@2PyWMXDwW@hGLVFif*B^dcck1l61;$;K?D0>3K"),
    "Telugu": ("c-m`_;ALcH6lWA*;snwx>`aWzOpHt{OkC`o02e6%82"),
    "Thai": ("c-m`}v0{}000Yhd`2"),
    "Tibetan": ("c-m`_^I%kAQD;<P<Y#1OVFCaVashe"),
    "Zl": ("c-mXxzz6^Wd;sb"),
    "Zp": ("c-mX(zz6^We*o("),
    "Zs": ("c-m87tY^Hh&G=u4TZK`dae+J|045>>-T"),
    "alpha": (
        "c-m!DO^8)x80LB3_dEaR+;i^FoO|!w-<j(;ckcW+-EqcI(5vHUV&Eb&3<_GPP>}`h+(-y5%&m(87ZvRU1EFkXPzaTaC|ibw(W0<T"
        "M6~Mt?$tm#=X~e;f8OW)Jy>_@D+nMkIokM&B}$A7;3S$w5DDM_tP5p4i_7pn0_F%#e`lg=q%XW_k!EQ2z)jA;6Hho`Lb@wHUG4e`"
        "V5(Fq)!fij;dt;Cf{0z`8Kht-#3gt{GzAsO!gg#CAp{eV(qcF=*|)MtjLsC(RbH7BGJNGW*)?p(#3)Eb^xk7!yEDdBE;^2pDt%^!"
        "CaVDxGe=@{ML!4gv7+Qi+0$Mxg00wwz#Fdz7HzWQ5G3Zvp6}Cm4KU)GDMv>|t|~W>>#6zR6)E0pTn9rd)1a#Vk|G;x-9$P#;Gria"
        "NzvQd&|4-Q1wwQ7C=GB|1(EfMP+wd3zgYpB`rq1-rYFha--R;N&2bLha#)GVV`dbsQ7KXPZk=)m=19;+B!1o^6D~@9y&(sv{1kEu"
        "d36m1c*6yfU=d-mF~vcTLNg%li;`5kn%gMNgjY!wpVQ`H^0aC9*n13@g&c{Ej?P2v9G_OX>O`<{CT9hqy3h!+{&i>VYVwPEmnoVk"
        "y2nMD`!1e*J1e-yT=QK+Mov167a(SUm$J^T^rGAzj;>tC)-qioP6H~h7?0oF>C;)-vVjDzQbxDB799o_^)5K*n%TI?Lqr9nX<)G7"
        "C&iq%ExRgHN)kG%oHOPzK;m4eeE58n%j%^=4~brxb0cFSRn9z${@1#{QE^1;^U-;Ox6#vd3QzGEf_OGUUHwcbP%?92d-r8(^6E+_"
        "Zkd5;QBORWg=;AGq$l&<S`?}WY`i||c`f>c{HegJI#__et?`CM>j=t&+;1OL;9x4KAKBy3NbPKF2sRg*+?@5$m|oYtQe1rf*v2p("
        "#`7}`bzuIF0%^pjya8?o@TL}u%a!TeKQb`ErjNLm4>R#*HLXSv-?|R7Ma*cz$o_H2DYL-c%;o>tWpl^4jlh}(bC~pE=_>0(N=?e#"
        "I%J*lDb~rYIWq@rUD>xzI66&9#l3~iv!k{qoJJO*1q&)KdbCV7cxZY^LH4vk@z@=7+dh_T(5<$VL~_j1SY#{F{z&ab*r82}#2w20"
        "41MNvIPtD~=3Mp#zA3+4xZ!0^?Y*|SBe!<1d>h{qx1F8HTE$(dv@51`gO|R;=pv5GrkjnFb41DCE8Y)&KlpW9#%h0{+1J$CkcjsV"
        "Un;(8V)orY@YC{hII1Ktu2YdxcX3d&)YHCU%dBec;(MYRYFcogY~IbJ?Kt=JXhvh(n*Ck8u@tx|KBrc3@c}m;phfsYA;iWNzQn%6"
        "w({Kc1=H5#`q^p@TUlh1b^K`k@ndIJ2^k*<kZHymWPgeVuT%f4asMuLKI=F?g5Fw6KHgh+DDRi9$<N`}bLM{MUz%2gLI"
    ),
    "break_Control": ("c-mv&Vq{_zidW=ie8<K3QJL`%KO+;91iPU?|6XRs4~#rpG6Wt>U}8D1$<cb(Kp~+4C^kU`06v!vOa"),
    "break_Extend": (
        "c-lo$O-NNy5a#=4&OPVe`+V<J>ht&UDiO7`XG#8H8A8}1$e=~ENFsxRpiM1mBLuZ65Gt}o;-*b)q-{t+Ahm1JDrsTRN{}F;O-OUE"
        "LHBIVoICS<Gv7D!(Tzv+_t_7Cb}*gRo64B;j7aEyRNF74V{wcYMGS#EAmedg3u?nwpg|!%VJF72at)S}unpuWluC-AN<o^%&Jxhb"
        "<_KA~VF!3gSjD*27Ob+z;0;xrKt0nO)p~&Zi#s^V|16!DhQh!RFa!ERxCF+jKgD)r-*6Ge=u&jWxT1&*img;BYlB@Ql<?NcYp)&B"
        "$touaAHXz5zaie_KHL&zj7ZkA9;{)Xfigr1Q6FHTQR|6HcU)ji8I2(C#Ek@U(Z*<i&nSg!n0%mkkG<O!c?itbUTSoepEs@bq{cH`"
        "pk*ss>F^Y6+ueZf(3%1VrH)KMq6<^z1X-{-58;T(K|0f+j{#e`j#ya&He9(}-Xgy$z5!3*?lp*wuRWr80j{c^aI56$=wv#mcW|`S"
        "YjY(sXdE6B(&Z42p}?Wo^i<-aP)#yCH@?u63%_Gh(Tkgc>6h(_s104@xsVNC$!yqpw?*2_oQmwyp8dAqS}xyQz9(>ZO<Vo~5>+hN"
        "uGm{G>4|c4Bg%kzv}UOW`_Ys))U(ajr@`HhB*Qm1rZZBk(>7zsIjP`#FQU?i^97N2d)&BR3^=YcwtKIhfg4=|tSqUMC<OYdK8Cz0"
        "4eQ~6BAOjapAwH<IfJ{5W%%F3g#HoT27l&!X3!V$*ZoS9TVAZs&f^FE0$06H$N"
    ),
    "break_L": ("c-m`FN@&=?BntovWCBt"),
    "break_LV": ("c-m{Y!Ne#%3P<56#0mi#LoDO"),
    "break_LVT": ("c-m{c!6eN%3P<56#0mjL=`8;"),
    "break_Prepend": ("c-m{=VY|-AXvo;W%oM=*nuGCO8w(>p;}=GzUKYl;T#Ss2hnU#*urlsuW&{A%kqN&"),
    "break_Regional_Indicator": ("c-njRm|Y4025kZB"),
    "break_SpacingMark": (
        "c-kG1yGnyW5QX{9?0*SJ6eSSB%L}N4U<^j1Vr{8lV=X8u>H}B=8;gJlc6N5L$y2BgU}GWHg4ULv$TIBg**TZp-Xv`lWkOA@DVMZD"
        "C$?QBsHJsA*oFHDVmZ30s}AyciK-cy(Ux|U7gO5giW|HQp`vLmFsxFP=v_&XME;4%P|I&&HEl6R^0)$8WvPL07~I>BeKjZg(4b+e"
        "bmpq_U{_^)+kUjTd$E>17p;9sU28O=LY0FEJrVN;7_n8;p2kf+jM84m%K3i*KPY#sbHi|A<dlMIS>%@t6;|)#&q?eus|{YkQF+ED"
        "M;;Y#WES8<8gtZAUp?Y+ru_%ae<Z&"
    ),
    "break_T": ("c-mW`9C5mv*$@B>Eds6"),
    "break_V": ("c-niQ<k8W?EIwy76C*PV03s#>$^"),
    "conjunct_consonant": (
        "c-k$EF$%&!6hxW-|86$BE+(Q72niTs2#B59dKJBim$0%FuOK3}Hi}^5Eo{7j8?c%;yn)#bCZ);DXov`4sR&5ufUXkM3i+Qpk)jhx"
        "$rm&?H4Ugm7)%k1@8Rp`A6cA0dYqbN>B;e9Pt5g9QEb&F0qZbcyEpRV73d2X#nabCI5>+%2sC#a5y%A2UVv>2xON+RR6k0o6kz"
    ),
    "conjunct_linker": ("c-lKF#8}VxpAkX;(Q8)58T^dBtc;Ht8Pgc2%wb~O%EWkLA0y*uUdB1BjBmLZJD3;)8CP&J0s!|r5BU"),
    "control": ("c-mv&WMX0zidW=iyu`&O#(02{(U9?<BI6%^Rw-6PRz|J~|Ct(${&O?_WMpP!+^@*^=sFY2c}<SCy9SJM2@U_5|NUoX0%8C@HWaS"),
    "mark": (
        "c-l=;J!@1^5apbidH250-F@t4(PbZ-xJZJoSr?6Kf})5bR+36cp@=CW2v%w-2nvEAsGvc_CXJ0EScrvI>4X$^R@%nGUm)JafVoqh"
        "nR92(9OiCx^9kJp4gfF&&Zomx9jlHJ3EhXPvyv{xGm01jJ0N!oOfLvZxP)C91CFG`*g>WN2`UQG3HITaG<PvQ6INKVK++hqy66H!"
        "9n&4ofAp_1>0I#~GztoR$rGT<{8cal)93;_m^|g-CTJ=8F|IY+s$nXfXr2Lyel~gUq$}Of=~OSqKyGsew=&JX!;UBD62sbQn{Vuo"
        "GpX`%F>F2$vs(%k;U*T$wru)OTOI*ddT%sZ<F{=nk{&PeF()$7wo4q9d&?t!PkvD6i$2a289WCvLeN4B-p-lvSFnWdUI9O>Uax<3"
        "_z66N-OnZH*I7|)fG-j`S{v&iJuCg<Br+Kmv0Tm~yhhg2-KK{n?F-7a=61-%9WFPn=c~1QiHBdFLh<n>Y{{+rLv?+)4sOnwMBdX?"
        "`V{i1c1%Ye1*QzOt;C^07f!%78t#Vs@OJnce*vL?J75"
    ),
    "nfd": (
        "c-oCnzb^z)5YG3_?7O{nyY~aTIT05}L?|enMu$c%A@L_5T7^VHjowKVa)nkep{LbJG#U*Zg~q(K5{1G{-kUG;zL{_4-NK;^$ACpd"
        "odYb3!l@I-2D4Gd9In}0pOE9EOO8lz#`7HjX_lISa+(IA5}}2(z!_H<E3L-7LS8aBwF=bmpeTVD3%6J`@~Yvs5HA2NF^`VyVb?Ul"
        "eL40b&on*Fy<*7t2vPr)+s4x%eoQb4-wL=6x`uSar8dHZov@&^*s&2nMPj@6QxK9pLb$^QMr6*q5}7fFELta|cA|j!I^Nnkt4<eq"
        "RmEF`zm56r_xSeICXWBjr3wz-(OZ99Jn_qbxeh7I++6bG#0c_A`<=TfLkSMSGv%wNe}WeuEUmeldp*}L@p2>d"
    ),
    "nfkd": (
        "c-oCpJ!@1!6y=<IXXfqO_cr?xH(3+hWQ}2wV4}F&*hCS6jg21xg<vCs1}rTU4K_hS`~ey?N;*L+TW$OWVyvtLK@kKi3mfme?1F`b"
        "GjHBp?%X+Z?zwjx2mlmR3IrY{csdSt)Hq7BkTB4*&haVcY_#mG${EsE?v&aVcbVWkoB_B9C#}$O2rYqudYS_&DcWcb>@l8Ut~3Cf"
        "8Mz5Of;+2AcDagOHB!XE<OWCV!a1`$LVN>gjy`&F8@D1Z@5*L;?mX_H%OmI;Yb|DGR^(Fq%d?7I;K3+{L(oNp1ip%(j5;QBbPg?U"
        "K`;5H5u3G@41(M2VFVQureQgiQ1+H?CJBrf)dCX9jdhirKwieOB0|!nlmSBY1bB6Rp=5D&9FXHtc#PShGnA^?Mg~n=sbir|935Ry"
        "uP6AL8+exDnq0+G;ZNWdO`Gf^4x?w;)bQ`Y;vd!8o6W+`{yUl~Jh~#4D{XX>c~g3gTVKHUz&iNZ>o#_lKb?9Qbp+D_gL0bJXG7*3"
        "Fm5`bz*?RD&iW$z-Mo=D_Zfo*RHHiU&^HiYG=oS$crk6>3hslCl|Lf#Z}9mqhKv5KUcgc;nh6t&8vFMo)an#4X>!_QhVX&hA&;%i"
        "DJEh{_NCAwv%M`=pTlg2i8J<{76B=0&YBsucUpFBOzr0kZc09<rNEaP`b7T#Nd7$1"
    ),
    "nonspacing": (
        "c-k#dJ!@1!6y=<I=i}{ryZe+RvaI`9G{S0#K4Zwn4N*}9v9htzCIpf~8!KxogMuKKK!_+dA!rqB1F;dY5mHzPR@w@|Um)HQX9niu"
        "o_pq=b07H!FX*0d8UStLMqZDXSPAqb^dze8-F%dtP-GCeDOp2*XjqL32@Uozf@;JVd%Osxk|L-m$kW|{nqr1xN<y^v3X3Q(gGF%y"
        "4b1<?JscDE@;|;+1Oe`Vp@_?%2XlXuU8FH=!I)i+$qcJ%i6lEzDYa=wk2XFyc^{-FJyyIzglOp*rsXB@P?Q<Gd^f25i;x%@eS@f5"
        "SG9(5+ZtpA`z8l6Z(%D%Mv>e!7n%s^PvIxbc|CAVv!eKOOr8Nt{dcPO`Sq8HZS;AI&n+K{4qpM?qqDJ-pOxB7AqKc+7L$c}at;@a"
        "pLAx@8AcqYW+--F13z3@mR|yX0vm9Tn_{|kAc}2ptAV-pyqvcxugj!Eyo7?YSuV?BMBFjXIL?t(a4Lw~H)E_r;33r8*5&P(VE2-I"
        "3$2Lt%6;5{TL|BxKHUO8pOzz$q0)88UVErB5iLwOwBH;LZ+Gk8_zOt+IA;"
    ),
    "numeric": (
        "c-ke9JxGFK5XZTD-si)=nw4*FNoWm`6c|wvL=H_ZN~2rQR1Wq5fz;+C6cJ4Z5m8VsMPm>&SVMyZP1Y0yg3u7rVnj=iv>e<W{O<p|"
        "acr_A7N>rc2oHoKfdU+rx3vIPtHBKzy^NgJ;T0^}S<2mIr0^u&FC{(+3LY*QMe?7wn`=V0jZ!EZ5=vR-B+F-+ocCHz>>aeNDB|l7"
        "FYN3PVunJ4h=<;qgj+(D)gfWHox`)3vOu{)_z;P}Oc&R=f5?fFp%Td&;Yyo`j{DNmQzyjS$zyZADUOM>%$YtjqHC<i+bMY9m@w+B"
        ">k`F^ge3L}+WjRwv$bh4mZ02B;7o)UP?pF>8)WsS(X^YM3$u2&g-Z9o6X`t%CGLG?@pEIp<#z*aK2kRm)oxS-S_0pMN9nU?4%93O"
        "axw`D-RoeZ2Y=6IN-F"
    ),
    "pictographic": (
        "c-ke7JxW7C6h=AU{AA|6$$OXte-P|6b_UV}n{;kK5V3XvS%Mp|aS?(`5bP~&H5(9YY^*GTcg#$4`Of_==LtObOA7C>%T4U{EfpT&"
        "p!Mz*K2byF+!HcFk~M@4IGmCTKq#$h1|tKbXpx+P&0ej7v7nkw6e50mLGiy}FWRL@qn=94$U&=_%XIdCq&Mfrnj2eZGySMLU%!#5"
        "zb(DBIvqDF6?LXMUL5uf6O{3JFTS8vHPxjYK5SswM)n6%DyW)hXgt|^aK$B8jr`W=YIYHlc1$K}xaOqzMQY+{I#TiK^0b`M@XU4U"
        "9=OwH@CRey8sz"
    ),
    "punct": (
        "c-mExOGwmF6vp|!d+z<e=0E?LteKi}G<%H3)Yt<wGqW~^gb_h63yH*%=s_8kn3^C2Q3(~4WmHf?5N&EvAQ&xzXcI&RLAWS-(4v)#"
        "4C-2Kx`(^D=iYmM=ljmw$agX(BV`^4A)p9_G)nM7Ni41%0Lf!;p>6IU&H`gF6{K2X6SR?M(huyjMrnfwA4Np`GelS!m7oIeKp&?;"
        "W1pYENp_<TZWkN~Uclx%(TE5>?;uSx9e<WIpxT8&c*r!d86U*U`EB?n%(F=~aL5A6{NRxV<rS1=*=xTuH*KM$7weK$x{md3fG^ro"
        "1uC2hCTF^Z**eh4xod2jQ%q3W{40lmqO|}ultG;eHZ`RtBs=b~6zv~j;`aVwTtER!$}-p<dxJ~@qGm-_6Rn!5umhJs@k<waNR$Lw"
        "7g4F7i$*!Rynf(5s;YR7YLC_CsBzOC_u3A`mm1l^as@190lUKlyCkhznP5BO?7_$l;0%(JoYsT9B>dDo6hSWIuU$c>11Dr3)e3KA"
        "(h`IUg~hiODse;MlST>e!g@GBZz0wr=d5$K%PVD%hlpY5yo|s(V3p{WN^TTEX!Y1;_TwI{r$@AJ-P(sANVlsw;Rb7&Oj;bOYrsx-"
        "vx45`j{z-u5&Jb8!+sQp`0nbTDNc5<A6V-NheZujo)eF+PEE>q_B#>})pc~#PQcHxR;v`9tgN1~PT>i*el?h7iT~fVy;3F1T*To#"
        "3-LhVm&SX;m&T63DLhp?&%Ct8B1U$I7Nl>Xx;V^>=P+&t@z#-~HUGG@n3y1nNww>nayQGEu<kWuafZs*)lS5~c+N%J+HZ5pZD;"
    ),
    "punctuation": (
        "c-jq*%S)7D7{&RW=Xu}no6osHgT_QoB}$PnM&L&1wh>%3JE?Xh2qNNuTN$Eo6_Fq!l(ldb)uyFjZrg^da4n2Me?XIgy&O1ab#7N{"
        "Mb?Z>zed0)WQh+0IY$<6=r*8)Ni~vGkmh`mo7G>~bgjjPRB$d{MxG?^M`|$cv&;q8YWxf*UfO}*u1P(#S-nr;Ha@g3{Y1~nh+oLw"
        ";WOcm?&U)q#EW@@3guB%HE_SIZ+W$&R<UKncm0aaf}<{PXmjDv%nOz4lzEogU!0=XvIPp(;y?Mkt{dD^o2Qk!*1e~?25_{8eozdL"
        "Q3X%uw$r3YN-{N*;ZizG_SS4SFvSO>ANUR}HdUISn?1-L`=?U2BE08Q>I6%3u}5*4UFR<&OZEr*+6;qNXanwtoZ~&{&xHRKFF1+"
    ),
    "reordered": (
        "c-l>n%`1da6o-4xz4yKIZAL`B850pn%|gQ<8;Qk~kAHy8Br;NJQsiT4A!SC{jHG5`HOWr4v(d!D&O+H(SlHPpxvZRD=X4gQ^PJz="
        "_hw0z#2m^XAWqDL)2(sxRy+}OH%b43V3#I{!VIXb7#-upQF__c^?$kNWF`OC?NCrry(Tf86QAE0Hd>28CfIPG1s;sLv2;>_5chD5"
        "dPb&c2?*&}ktTYB85t!klbktp6sz%2QYT}~qls!%<hxBB!BXl<dn@wv4my;QIVlTw;5TPg4~s<jaC{|VoVy`Dp>_@jUc6y>g;UH)"
        ")D840O%-_wF+x_RRN9@IbFNqA8ku*l+O0ATw}@@|LUt+2CZ!Oy3TDi{T|&LzC@&BYo7830t#3()buTs5ge}+~k@Gd>"
    ),
    "word": (
        "c-mD}ON^975YAU!-GBf6Kj*PCvyXYfFzoKI3(LOP#o#W4CA+I~P%wBf@c<@j)I>dTK|;_(xfu?ca8SdI1TPx!qKQJHl3*en4KYCv"
        "8sfo&@nrSPV&wm)|9({USJhut_3UxM2m>R#5fGpV3RN`mo#Hsv0f53=AQBBDQkj<VG~NTQ09}Hauv4-|^1_ZX*CV~br(nsUM9BBk"
        "$#j9ec)B>ok*>kmO}q^+7A2wz#DZc9Wy}^#&=fn5s9<;?_uwS>TINb25LbdcQV7MJfm{oo@~&r0E(~P+5ZlW<wh9yv^pK0!0>h&2"
        "%?PB5S^E_cAa!}tXCNn!&%%i)lHleH+m|?xIglBWU1B@-duF9+&4E~PM#e=|6CXi=s0w$m#t|jUI)mHkZEMuzTO}>u0FJmN6XPQI"
        "haEaxMiHG5OB?1X>iP}T!!2*phlOcETKm6Qh9&tPBGt<C<7CtyOa+YSO%(-|uo9K~K2rRQKPb7jLS#+^J-z0dh&guSq@!ItVqABO"
        "A4i=c;}Y2B%#+F$!uZX2pLJ@6BHbgEE9}%4Sx(=TW-)l0G~W-VL`b+coM;&xq!PxEAWvr71+Wi1ls1DMjEGnmLt)~InY)<YhY91s"
        "Irjy~Y7)su-_~y2QEE7o0BAn$!;0s?x`*crtv&e}{%UsR!WA5vrVFIT%Ci!wH+F>dqLAYGwnLJNrMY-b!c&t>o}o@$SF34cnpg}|"
        "a;B=*Yl?Ex&d9+`-+m9NIW76;%%{)BRh~I_@Bz_F-5}OFmV@c7?0=>GI~7-GVLawM&lS~FOXD4swu&n{q56=dw#OKe<d<Bfbld5}"
        "^X~#@QCBk=nysXvd%8g#sRTWFNysuC?(n#siz8(HY~JeCT>J%v6=!P(lL!w>9%7fT8LGN!*jyESS8*e2`wXoJ>Dni5ofM;0SM}`{"
        "jo}56my+VE>x;9=Y%*@0=_-xtKLRH;k*meFgKak}lS8A`@JKTc9}AES2hPmHG20G_Rc0Xo+l$y?_&`4i#XA@57y9`B6)3qaq4L$G"
        "1E~fbInNoo81$l>P<>MiZevZt<St`@!m8P}Dmm)9OJcM<HcA;g6I{dolN&=;7`L*uA#n*~w`OVD&qp7(up3f%>o?KPoCz_7Fmttr"
        "IFhb=S9U3HF_hC9>32vof%}}QVF43LC($t+{V+K7THzb~P<|o1YV(TwsHt!AwfW^6$u$m|aOSAAh7`+UC{+^<>C#m-rQ8jyoWUk9"
        "1%(xHE~51B-S%!c;eI>JeG)#A`m75FDckqex#G(@QDNW|{n&End77%1<O(v@QqbTJpuSYcaKvAF{#r!bzaUnnZmslVLYQQo3h)!r"
        "Foxx>ezaNIdxjTzuSJTAMt0jajkzN`3)ByXKG4SNQ%Vw^@ijFI%Xih}UG(k?qQ9y$e2XZUc!J&KkTL2bBtIuI`2PSN)UMiEfB5*B"
        "KPmSW912qX8il{)Mv?c|vO90@-J;g@miZZUb}IdBIeWk#moD)y(f3__uXX!+?@#;-jX#TK"
    ),
    "word_rust": (
        "c-mD}O^g&p6wdeRRdscB_jLEn?9A-X{J}8n?yw8X{;`XJT?tEeSLL8!@L=KrOw_1}dg6kFpowxb95mseh8qc9G~h)Og+wL6L^v8^"
        "f*v%)g9qcuS2K%|?yjz?epTOl_1^nl?{UEh10%cPz|d7R@txwhpaTH;TObmt0hCP3cpC2kSAZ_TOxP*;MsmZBGS?%$!KYx!p+v~`"
        ")5*dDd+~H}j3Zrxv72}sUM!1<Di95dDU>l=FhNu7Jfec(f!u?W;A@#Hg+NRRvPdBma|UuPcnXS;GPy92@k4Ac^Vlj-JXnWJtQHuS"
        "<z9_Is+hI^A_5d#mdO69Ec5srkjEv#%^0>XaUOFZGbFo2ckK7fO4FJH(c+AZi>f9zf&y78zJoQ6C|TAi+)l4sqbBbvX?X{5#4VW^"
        "7r|fb(BU$Q=!96>Fi%m}Z=fD-d6hmaOcT=D|IJb?$@>tgR+b$nqyAvZF`_qB6jZ`WRPNhI@iYFQ<k||6IT7^qnrkBF*o~8pcJYXD"
        "-7!9hIz`4Mu+5n#mCM8U&3K=6YK9`+Bb6!a)E8M!-<4)DxSBNI52i#&d~G<<GD>NNN*F_eESYWRl3YFnN}ItRMno(=Lq2iE%v~(p"
        "hY91sN%sXvYZA*x@78YIQEE7q5NJN`1B>Utx`*fU)}HJPe>J;u;R+5-(*;sv<ync<8#_XJQQYD^ZigfpOLOs>1gIvtJVTwhu2u_?"
        "X<{)fkTX@aUQ?8jc1Dh7`uck)nA4Jh&V2f8T;-W_k3S%KsT;&v$8s>emH)4_f2ZOKEsV#UWtpOyYH7TK(iXL%6RHnMYI}?kNq@;!"
        "Dr`G_c>Z1BEb3||MYEMObWb;^BV5pvm&947!yO*Cb8&>UpU+#pnv1`nu;OgZU=rbB$wch(tf8u_hRs#McNI6Xw$IRtI9>bHt&?K3"
        ">Z-ooqA|Q6@={WKb$xL*nN7y6GhL-o{YT)06`5LWJJ@!!GC4F_4UaUl@UZ~NaNx{59JB3^Xk``$V0#fe3?JyHp;+gF{o+3UKL;hd"
        "B~+eYIuJhS$a$Zki$O1I6RK}&!ELNbnA~M7P*^qFRwYYacS)3%$3`h-XM$_ke{y5UipQ;NZAe_g*sWQb_Vdw$7Is6Zw|*1t)R_=d"
        "2vb*Uh#`e_Z^|y^HHLCpBmE9(CUBoqHOw)gbP^rI(GP=DujSw1hw=;QRhw1ZM@@Z`ugx#tNUm|vgfmB_HH0pUq3|Xg(xt0vO1T?Y"
        "IfG4J3i1^(E~3KUyY1a@!u@ub`%d^o7+Mz}6xhD6&J|zQi3$U!=*N~j&(l=BBt^(rOF@G_fcjD$!x3Nhd|^b~FA=N4Tr2&UuhGJy"
        "06!58V_2&7qs`LZGrY)qEefb;q_=I;m^-pFr+zr}fi_;BQj+kDuc?_Y-&K=$(Yr5*zF4RD7Ev(q1iQ;2W7J1T9{*>6{|oSdyK3wE"
        "!^_Y7Nx8qkAs7B@<bO#`k^9%OJ8$pZqSp16`5AO}s_@xz`hY(!UE*J&@4Nb5>-P2DpZFKSmy2c"
    ),
}

# Of characters with another lower case: the gap to the last one, and twice the distance, odd downwards.
LOWER = (
    "c-rk&%}X0W6zBKeZsKaxgoxlpM0#!!N)dWd=&2OxpP-lCb5QUiMiEUxPqCudDALwNt>6bj5iuh81+7YHui~xXq4eWcBz=>OUol1}"
    "8$S-t@Ar1zn|b@*&df41^>xt3D=lw2V^x!0F_KSCYh}G4e*h=gJ5DOYsv2SliDN*N@g~(2WBR}t6U&f#f@#Wmg=k(W^UNu2mNDye"
    "EhuLyFvK{LOFx$#uT>y~tB#^8LtDXjTa9g<uwz5gbTeK9eK-j^=FFn?1Kt<(90F<wwV{nPS5D!9-@4%AJgt(wRHn0w;BXXrtaFE&"
    "OXshUaw?T@^Xq9BZbaU&RUQxFW=ZjoCm#B0j_w(_m)ymFf@pxe;YYYt@{zJacd`^FTCP1s0B2yG(u=b6rQ5y$C6Vq^p%LTQ?uTN~"
    "_YpW|(5HGfAuLwfJ`_uRVS?}wiopq5Y&H@dKyMh{+J{xhiZYt>Jcc%AO7ggwWrA$_KgWU3Pq96Y)Xw}#PQ-uGxGeRO4Ygxi3DFZa"
    "a07p$Iv`E@@>?%gS(d&YWVjLKT8h*oVxPLCm_)l#lP`)K={GSVG9c0^A~wB`n)oI%DH1O^H_|3_i{r0Ul5Nq`Jvs-?3YwbE<(yx$"
    "ULvoE<SWoyG-LubAPeZ6bx_<6+)2iC)@iZa<%KRh>Gn!k{{))Y_={)m@gGs<?WF"
)
