"""Pages as people make them, each with the main text that it should give."""

from __future__ import annotations

OLD = (
    """<HTML><HEAD><TITLE>山田の釣り日記</TITLE></HEAD><BODY bgcolor=#ffffff><CENTER><FONT size=+3>山田の釣り日記</FONT><BR>
<A HREF=index.html>トップ</A> | <A HREF=diary.html>日記</A> | <A HREF=bbs.cgi>掲示板</A> | <A HREF=link.html>リンク</A>
</CENTER><HR>
<TABLE><TR><TD width=150 valign=top><A HREF=a.html>プロフィール</A><BR><A HREF=b.html>釣果一覧</A><BR>
<A HREF=c.html>道具の紹介</A>
</TD><TD><B>2003年5月3日</B><BR>
今日は朝から<A HREF=x.html>相模湖</A>へ行ってきた。水は少し濁っていたが、
風もなく絶好の日和である。<BR>
<BR>午前中はまったく当たりがなく、場所を変えることにした。<P>昼過ぎに<FONT color=red>40センチ</FONT>のバスが釣れた。
<P ALIGN=right><A HREF=diary.html>[戻る]</A> <A HREF=#top>[ページの先頭へ]</A></TD></TR></TABLE><HR>
<ADDRESS>Copyright (C) 2003 Yamada. All rights reserved. <A HREF=mailto:y@example.com>y@example.com</A></ADDRESS></BODY>
</HTML>""",
    """山田の釣り日記
2003年5月3日
今日は朝から相模湖へ行ってきた。水は少し濁っていたが、風もなく絶好の日和である。
午前中はまったく当たりがなく、場所を変えることにした。
昼過ぎに40センチのバスが釣れた。""",
)

BLOG = (
    """<!doctype html><html><head><meta charset=utf-8><title>味噌汁の作り方 - 台所日記</title>
<script>var a="<p>いいえ</p>";</script></head><body>
<div id="header"><h1 id="title"><a href="/">台所日記</a></h1><p>料理と暮らしのブログです。</p></div>
<nav><ul><li><a href="/">ホーム</a></li><li><a href="/about">このブログについて</a></li></ul></nav>
<div id="main"><article><header><h2 class="entry-title"><a href="/e/1">味噌汁の作り方</a></h2></header>
<div class="entry-content"><p>味噌汁は出汁が大事です。今日は基本の作り方を紹介します。</p><h3>材料</h3><ul>
<li>豆腐 半丁</li><li>わかめ 適量</li></ul>
<h3>手順</h3><ol><li>鍋に水と昆布を入れて火にかけます。</li><li>沸騰直前に昆布を取り出します。</li></ol>
<blockquote>味噌は煮立たせないこと。</blockquote>
<p>詳しくは<a href="/e/2">出汁の取り方</a>をご覧ください。</p></div>
<div class="social-buttons"><a href="#">ツイート</a><a href="#">シェア</a></div></article></div>
<aside class="sidebar"><h3>最近の記事</h3><ul><li><a href="/e/3">親子丼の作り方</a></li><li>
<a href="/e/4">肉じゃがのコツ</a></li></ul></aside>
<footer><p>© 2023 台所日記. <a href="/privacy">プライバシーポリシー</a></p></footer></body></html>""",
    """味噌汁の作り方
味噌汁は出汁が大事です。今日は基本の作り方を紹介します。
材料
豆腐 半丁
わかめ 適量
手順
鍋に水と昆布を入れて火にかけます。
沸騰直前に昆布を取り出します。
味噌は煮立たせないこと。
詳しくは出汁の取り方をご覧ください。""",
)

NEWS = (
    """<html><body><div class="breadcrumb"><a href=/>トップ</a> &gt; <a href=/s>社会</a> &gt; 記事</div><div class="article">
<h1>市が新しい図書館を開館</h1><p class="date">2024年1月5日 12:00</p>
<div class="body"><p>市は5日、駅前に新しい図書館を開館した。蔵書は約10万冊。</p>
<p>市長は「市民の憩いの場にしたい」と話した。</p></div>
<div class="related"><h3>関連ニュース</h3><ul><li><a href=/1>駅前再開発が始まる</a></li><li>
<a href=/2>市民ホールが改修</a></li></ul></div></div>
<div class="ranking"><h2>アクセスランキング</h2><ol><li><a href=/3>台風が接近</a></li><li><a href=/4>高校野球の結果</a>
</li></ol></div>
<div id="footer"><ul><li><a href=/c>会社概要</a></li><li><a href=/k>個人情報の取り扱い</a></li></ul>
<p>本サイトの記事の無断転載を禁じます。</p></div></body></html>""",
    """市が新しい図書館を開館
2024年1月5日 12:00
市は5日、駅前に新しい図書館を開館した。蔵書は約10万冊。
市長は「市民の憩いの場にしたい」と話した。""",
)

WIKI = (
    """<html><body class="mediawiki"><div id="content" class="mw-body"><h1 id="firstHeading">夏目漱石</h1>
<div id="mw-content-text">
<table class="infobox"><tr><th>誕生</th><td>1867年2月9日</td></tr><tr><th>職業</th><td><a href=x>小説家</a></td></tr></table>
<p>
<b>夏目 漱石</b>（なつめ そうせき）は、<a href=1>日本</a>の<a href=2>小説家</a>、<a href=3>評論家</a>、<a href=4>英文学者</a>。</p>
<div id="toc" class="toc"><h2>目次</h2><ul><li><a href=#1>1 生涯</a></li><li><a href=#2>2 作品</a></li></ul></div>
<h2>生涯<span class="mw-editsection">[<a href=e>編集</a>]</span></h2><p>江戸の牛込に生まれた。</p>
<h2>作品</h2><ul><li><a href=a>吾輩は猫である</a>（1905年）</li><li><a href=b>坊っちゃん</a>（1906年）</li></ul>
<table class="navbox"><tr><td><a href=1>三四郎</a> <a href=2>それから</a></td></tr></table></div>
<div id="catlinks"><a href=c>カテゴリ</a>: <a href=d>小説家</a></div></div>
<div id="mw-navigation"><ul><li><a href=m>メインページ</a></li></ul></div><div id="footer"><ul>
<li>最終更新 2024年1月1日</li></ul></div></body></html>""",
    """夏目漱石
誕生\t1867年2月9日
職業\t小説家
夏目 漱石（なつめ そうせき）は、日本の小説家、評論家、英文学者。
生涯
江戸の牛込に生まれた。
作品
吾輩は猫である（1905年）
坊っちゃん（1906年）""",
)

SHOP = (
    """<body><div id="wrapper" class="sidebar-left"><div id="header-wrap"><a href=/><img alt=店></a><ul><li>
<a href=/cart>カート</a></li></ul></div>
<div class="contents"><h1>木のまな板</h1><p class="price">価格: 3,200円（税込）</p>
<p>国産のひのきを使ったまな板です。香りがよく、水切れにも優れています。</p>
<table><tr><th>サイズ</th><td>30cm×20cm</td></tr><tr><th>重さ</th><td>700g</td></tr></table><p>
<a href=/buy>カートに入れる</a></p>
<h2>よく一緒に購入されている商品</h2><ul><li><a href=/1>包丁 5,000円</a></li><li><a href=/2>たわし 300円</a></li></ul>
</div></div>
<div class="footer-nav"><a href=/1>特定商取引法に基づく表記</a> <a href=/2>お問い合わせ</a></div></body>""",
    """木のまな板
価格: 3,200円（税込）
国産のひのきを使ったまな板です。香りがよく、水切れにも優れています。
サイズ\t30cm×20cm
重さ\t700g""",
)

PAGES = {"old": OLD, "blog": BLOG, "news": NEWS, "wiki": WIKI, "shop": SHOP}
