"""Countries by the code that names their flag's template, of ISO 3166-1 or of the Olympic committee."""

COUNTRIES = dict(
    pair.split(":")
    for pair in """
    jpn:日本 usa:アメリカ合衆国 gbr:イギリス fra:フランス deu:ドイツ ger:ドイツ ita:イタリア esp:スペイン
    prt:ポルトガル nld:オランダ ned:オランダ bel:ベルギー che:スイス sui:スイス aut:オーストリア
    swe:スウェーデン nor:ノルウェー dnk:デンマーク den:デンマーク fin:フィンランド rus:ロシア pol:ポーランド
    cze:チェコ hun:ハンガリー ukr:ウクライナ grc:ギリシャ gre:ギリシャ tur:トルコ chn:中国 kor:韓国 prk:北朝鮮
    twn:台湾 tpe:チャイニーズタイペイ hkg:香港 mng:モンゴル vnm:ベトナム vie:ベトナム tha:タイ phl:フィリピン
    phi:フィリピン idn:インドネシア ina:インドネシア mys:マレーシア mas:マレーシア sgp:シンガポール
    sin:シンガポール ind:インド irn:イラン iri:イラン sau:サウジアラビア ksa:サウジアラビア egy:エジプト
    zaf:南アフリカ共和国 rsa:南アフリカ共和国 can:カナダ mex:メキシコ bra:ブラジル arg:アルゼンチン chl:チリ
    chi:チリ aus:オーストラリア nzl:ニュージーランド irl:アイルランド hrv:クロアチア cro:クロアチア
    srb:セルビア rou:ルーマニア bgr:ブルガリア bul:ブルガリア
    """.split()
)
