"""The words by which names, headings, addresses and texts of a page are sorted into groups, for the judge of blocks.

General words of class names and of the languages of the web, never a name seen on one site. A group is one bit of a
mask, so each vocabulary has at most 64. The judge was trained with these words: after a change, train it again
(learn_extraction).
"""

from array import array
from collections.abc import Iterable, Mapping

from pipelines.extract.html.page_tree import Numbers

SLOTS = 8192
"""Places in a table of words: a power of two, several times the words of the largest vocabulary."""
BAG = 8192
"""Bytes of a bag of words: a bit for each of 65536 hashes."""
WORD_START, BITS = 2166136261, 0xFFFFFFFF
"""What a hash of 32 bits (FNV-1a) begins with, and its bits."""

NAMES = {
    "navigation": """
        nav navbar navigation subnav topnav mainnav sidenav navigator sitemap skiplink skip jump quicklinks
        navlist localnav""",
    "breadcrumb": "breadcrumb breadcrumbs crumb crumbs breadcrumblist pathway",
    "menu": "menu menus submenu megamenu dropdown hamburger burger drawer offcanvas menuitem",
    "pagination": "pagination pager paging paginate pages prevnext prev next previous nextprev pagenavi older newer",
    "header": "header masthead topbar siteheader head top",
    "footer": "footer colophon siteheader sitefooter foot bottom footernav contentinfo",
    "sidebar": "sidebar aside rail sidecolumn rightcol leftcol secondary complementary right left sticky",
    "consent": "cookie cookies consent gdpr onetrust cookiebanner ccpa cmp privacy cookielaw",
    "newsletter": """
        newsletter newsletters subscribe subscription subscriber subscriptions signup optin mailchimp email
        mailinglist inscription""",
    "paywall": "paywall regwall premium paid piano meter gate locked barrier subscribers",
    "share": "share shares sharing sharebar sharedaddy sociable addthis addtoany sharethis shareaholic sharebuttons",
    "social": """
        social socials socialmedia facebook twitter instagram linkedin pinterest whatsapp youtube tiktok follow
        followus socialicons""",
    "related": """
        related recommended recommendation recommendations outbrain taboola morefrom similar yarpp suggestions
        suggested readnext upnext relatedposts jp alsolike recirc recirculation crosssell upsell""",
    "popular": """
        popular trending mostread latest recent topstories hot mostviewed highlights news recentposts spotlight""",
    "comment": """
        comment comments commentlist disqus respond livefyre commenting commentaires kommentare comentarios
        commentbody commenttext""",
    "advert": """
        advert adverts advertisement advertising ad ads adsense adslot adunit sponsored sponsor sponsors promo
        promos promoted promotion promotions dfp banner banners gpt adv anzeige billboard leaderboard mpu""",
    "popup": """
        popup modal lightbox overlay dialog tooltip popover toast interstitial notification alert notice flyout
        tippy""",
    "form": "form forms input field fields fieldset captcha submit searchform formfield select checkbox gform wpcf",
    "account": "login signin logout register account auth authentication password profile myaccount",
    "search": "search searchbox searchbar finder query typeahead autocomplete",
    "byline": """
        byline author authors authorname writer contributor credit credits bylines autor vcard authorbox bio
        biography attribution""",
    "date": """
        date time timestamp dateline published datetime datepublished datemodified posted updated postdate
        pubdate modified ago""",
    "meta": """
        meta metadata postmeta entrymeta info infos details detail stats statistics count views postinfo
        articlemeta""",
    "tags": """
        tag tags taglist tagcloud keyword keywords topics labels hashtag hashtags postags chips chip pill pills
        badge badges""",
    "contents": "toc tableofcontents contents outline onthispage anchors scrollspy tocify",
    "article": """
        article articles articlebody story storybody newsarticle blogposting articlecontent articletext
        storycontent longform""",
    "post": "post posts entry hentry postbody postcontent entrycontent blogpost singlepost blog postarea",
    "content": """
        content contents maincontent pagecontent contentarea contentmain textcontent bodycontent contentbody
        inhalt contenido contenu innercontent""",
    "main": "main primary maincol maincolumn center central middle maincontainer mainbody principal",
    "text": """
        text txt richtext prose copy bodytext rte wysiwyg markdown md paragraph paragraphs editor textblock rich
        typography mce texte bodycopy formatted""",
    "body": "body inner bodywrap",
    "product": "product products pdp productpage sku shopify woocommerce productinfo productdetails item items goods",
    "price": "price prices pricing cost amount money sale discount offer offers msrp currency pricebox saleprice",
    "description": """
        description desc descr productdescription longdescription overview about beschreibung synopsis abstract
        blurb itemdescription""",
    "specification": """
        spec specs specification specifications attribute attributes features feature properties techspecs
        dimensions additional ingredients nutrition""",
    "review": """
        review reviews testimonial testimonials yotpo bazaarvoice feedback reviewbody ugc trustpilot opinions
        bewertungen""",
    "rating": """
        rating ratings star stars score aggregaterating votes vote voting votecount likes like upvote reactions
        reaction karma""",
    "cart": """
        cart basket checkout addtocart atc buy buybox purchase quantity qty wishlist bag stock availability
        variant variants swatch swatches shipping delivery""",
    "forum": """
        forum forums thread threads topic board discussion discussions bbs phpbb vbulletin xenforo discourse
        threadview community topics viewtopic""",
    "message": """
        message messages messagebody msg postmessage bbwrapper messagecontent postcell postbit chat conversation""",
    "question": "question questions qa qanda answers answer acceptedanswer solution solved suggestedanswer answercell",
    "reply": "reply replies response responses respond replylink",
    "quote": "quote quotes blockquote pullquote citation quotation bbcodeblock",
    "signature": "signature sig signatures usertitle userdetails postprofile userinfo poster",
    "user": "user users avatar member members username gravatar people person usercard nickname moderator",
    "card": "card cards tile tiles teaser teasers box boxes panel panels cell thumb thumbs thumbnail thumbnails",
    "grid": "grid row rows col column columns cols layout flex masonry gutter span",
    "list": """
        list lists listing listings results result listview feed stream archive loop index directory river hits
        ul collection collections catalog catalogue""",
    "category": """
        category categories cat cats section sections subcategory taxonomy department departments rubric filter
        filters facet facets refine refinement sort sorting sortby""",
    "widget": "widget widgets module modules block blocks component components gadget plugin portlet elementor",
    "hero": """
        hero jumbotron intro introduction cover splash masthead billboard slide slides slider slideshow carousel
        swiper slick marquee flexslider owl""",
    "title": """
        title titles headline heading headings hed subtitle subheading subhead pagetitle entrytitle posttitle
        headlines h1 h2 h3 name""",
    "summary": """
        summary lead lede excerpt dek standfirst deck preamble ingress snippet teasertext kicker strapline chapo
        sommaire subline""",
    "caption": """
        caption captions figure figcaption imagecaption wpcaption image images img photo photos picture gallery
        media video videos player""",
    "fold": """
        faq faqs accordion accordions toggle collapse collapsible expander expand tab tabs tabpanel tabpane
        panel details collapsed""",
    "action": """
        cta button buttons btn btns link links action actions readmore more morelink calltoaction learnmore
        continue""",
    "contact": "contact contacts address phone telephone location locations map maps hours adr tel geo office",
    "code": """
        code highlight codehilite syntax hljs prism snippet console terminal example examples pre codeblock
        sourcecode""",
    "docs": """
        docs documentation doc document api reference method methods function parameters param params class
        module theme docmain docitem admonition tutorial guide sphinx docusaurus mkdocs rst""",
    "edit": """
        edit editsection edited print printfooter headerlink permalink anchor copy clipboard copybutton feedback
        helpful report flag""",
    "unseen": """
        hidden hide invisible sronly sr screenreader screen reader visuallyhidden assistive noprint offscreen
        visually accessibility a11y only""",
    "legal": "legal copyright disclaimer terms imprint impressum license rights disclosure affiliate",
    "brand": """
        logo logos brand branding site sitename language languages lang locale country region switcher toolbar
        tools tool utility utilities""",
    "service": """
        service services team teams benefit benefits process steps step pricing plan plans partners partner
        clients client customers stats numbers value values portfolio project projects event events job jobs
        career careers course courses""",
}
"""Words of class, id, role, itemprop, itemtype, aria-label and the like: what a part of a page is called."""
TEXTS = {
    "related": """
        related recommended similar popular trending latest more also mehr weitere ahnliche relacionados
        articles artikel lire aussi recent must next previous newest older featured stories suggested""",
    "comment": """
        comment comments reply replies kommentar kommentare commentaires comentarios respond responses
        discussion leave""",
    "share": """
        share facebook twitter whatsapp linkedin pinterest email print telegram reddit copy teilen partager
        compartir x tweet instagram youtube tiktok follow save link""",
    "subscribe": """
        subscribe newsletter newsletters subscription subscriber subscribers inbox abo abonnieren abonner
        suscribirse unsubscribe signup membership join updates alerts""",
    "account": """
        login log sign signin register account password username anmelden registrieren connexion logged email
        e-mail forgot member""",
    "consent": "cookie cookies consent privacy policy datenschutz gdpr preferences accept personal settings reject",
    "copyright": """
        copyright rights reserved terms impressum imprint disclaimer trademark trademarks inc llc ltd powered
        legal conditions license all""",
    "buy": """
        cart basket buy add wishlist shipping checkout quantity qty stock delivery returns order sale price save
        off free pay shop compare bag sold available pickup""",
    "money": "usd eur gbp price from msrp rrp tax vat per month",
    "more": """
        read more continue click here view see show load learn details weiterlesen expand discover explore all
        button tap""",
    "date": """
        january february march april may june july august september october november december jan feb mar apr
        jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday ago hours
        minutes days hour minute day am pm utc gmt januar februar marz mai juni juli oktober dezember uhr
        yesterday today""",
    "byline": """
        by author posted written published updated von par por reporter editor staff reviewed autor min read
        minutes modified edited contributor correspondent photo credit getty image images source courtesy""",
    "search": """
        search filter filters sort results result page pages next previous prev first last showing per suche
        clear reset relevance""",
    "review": "review reviews rating ratings stars star rated verified helpful customer customers buyer out",
    "question": "question questions answer answers asked answered solution accepted votes vote upvote score solved faq",
    "menu": """
        home about contact menu navigation skip sitemap careers help support faq blog news shop press main
        toggle close open back top jump search""",
    "forum": """
        posts post member joined members thread threads topic topics messages location views quote report likes
        registered moderator reputation karma points forum reactions""",
    "tags": "tags tag categories category filed topics tagged labels keywords schlagworte under in",
    "advert": """
        advertisement sponsored ad ads advertising promoted anzeige publicidad affiliate commission partner paid""",
    "script": """
        javascript browser enable enabled disabled loading please supported upgrade unsupported html5 flash
        loads""",
    "pronoun": "i you we he she it they my your our his her their me us ich wir sie je nous vous yo",
    "function": """
        the of and to a in that is was for on with as are be this have from or but not which were has at der die
        und das ist nicht le la les des et une dans que el los las en es un een het van il di che per os da em""",
    "contact": """
        phone tel telephone fax address street suite avenue road email hours open mon fri call directions map
        zip st ave""",
}
"""Words of short texts and headings: what a part of a page says of itself."""
KINDS = {
    "article": """
        article articles news newsarticle blog blogposting story stories opinion report reportage analysis
        liveblogposting posts post magazine press politics sport sports world business 2023 2024 2025""",
    "product": """
        product products shop store item items p dp buy pdp offer aggregateoffer sku shopify woocommerce magento
        bigcommerce""",
    "collection": """
        category categories collection collections c shop department catalog catalogue collectionpage
        productgroup products range browse""",
    "forum": """
        forum forums thread threads topic topics discussion discussions viewtopic showthread community
        discussionforumposting question questions qa qapage answer t r boards phpbb vbulletin xenforo discourse
        reddit comments ask""",
    "docs": """
        docs documentation doc api reference guide guides manual tutorial tutorials techarticle help kb support
        learn developer developers sphinx docusaurus mkdocs readthedocs apireference wiki hugo gitbook library
        en-us""",
    "service": """
        service services solutions solution business organization localbusiness professionalservice agency
        features pricing platform company corporation consulting about software softwareapplication""",
    "listing": """
        search tag tags archive archives list itemlist index results topics section author authors directory
        listing listings jobs category""",
    "page": "webpage website page home",
    "faq": "faq faqpage howto recipe recipes howtos",
    "event": "event events job jobposting course courses place profile person profilepage",
    "video": "video videoobject watch movie podcast audioobject book",
    "crumbs": "breadcrumblist searchaction imageobject",
}
"""Words of JSON-LD types, of og:type and generator, and of the address: what kind of page it is."""


def word_hash(word: bytes) -> int:
    """FNV-1a of a word in lower case, 32 bits."""
    value = WORD_START
    for byte in bytearray(word):
        value = ((value ^ byte) * 16777619) & BITS
    return value


def hash_table(vocabulary: Mapping[str, str]) -> tuple[Numbers, Numbers]:
    """Hashes of the words and the masks of their groups, each word at the first free place from its hash on."""
    keys, masks = array("Q", bytes(8 * SLOTS)), array("Q", bytes(8 * SLOTS))
    for group, words in enumerate(vocabulary.values()):
        for word in _unique(words.split()):
            key = word_hash(word.encode())
            slot = key % SLOTS
            while keys[slot] and keys[slot] != key:
                slot = (slot + 1) % SLOTS
            keys[slot] = key
            masks[slot] |= 1 << group
    return keys, masks


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
