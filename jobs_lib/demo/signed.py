"""A message as a bank signed it (DKIM, RFC 6376): one changed byte on the way, and the signature
fails.

The strictest form, simple/simple, over the body and every header that a reader sees. Its private
key was thrown away.
"""
from __future__ import annotations

SIGNED = """\
DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=northwind.example;
 i=@northwind.example; q=dns/txt; s=mail; t=1725174004; h=from : to :
 subject : date : message-id : mime-version : content-type;
 bh=Kg692GzTkEDRSIJbYH6OZ4A3nyvi0i0SF/pQQBteZC4=;
 b=juF7HQZX773lVzQELhPtCZD9ejkF2VxLFGmOXiQpXRZ1bUuKEMHt4TfQbRHoe6mzuRp5u
 s2PHho9quaXd3Md0CDz+ABwVb30it5wezcsNZT3CObzmlwbnQ4+LNBWBEPJrWaytGFT6par
 xL21M353XsJbT9MgZ7/uo6Cl/atw4a4Afs9VJphJydYFRnNFbEYneD4UsMi4x3jMqEjAB+v
 T1D2gnfV11bE11j2HQkZr4c2I1gYy4ZKHTPYoTOfU63RKtg+aZdf1NZnnatsZ/vfsyBwquy
 XQgOoXCYoOmDEZ1JW1A5wl8+pXlW6palRUTZkI7ryJYs7FfRiWTHFPSRRZsw==
From: Northwind Bank <service@northwind.example>
To: bank@alias.example
Subject: Your August statement
Date: Sun, 01 Sep 2024 07:00:04 +0000
Message-ID: <20240901070004.5521@northwind.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

Dear Jane Miller,

your statement for August is ready. Sign in to read it.

We have signed this message. Were one byte of it changed on the way to you,
your mailbox would see that the signature no longer holds: not this line,
. not one that begins with a dot, not the two spaces at the end of this:\x20\x20

Northwind Bank
"""

# The TXT record of mail._domainkey.northwind.example.
PUBLIC_KEY = (
    "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAt68Y2/P/Hb32b+JgAZRmI+60jlwtQ1"
    "0z52CSQieb8R4wne7/yi5z27lCirMY2wVHkQGWVs1n6GVmgiz8xqCnszczfKZor81637sYaSa5o0L+s1xaKYMVAOuGYe"
    "0VAQbWfWBYh+UKq9wwEvcu9H+dyoFYBP+erw+lL9gvO016MpfzkZypaJ6LwHsHcQuqWZx36jDuauzsK6m63g3Yuu7Ji1"
    "Gm7RJZ5sCIlqEi8KIsGWvMeWrJ1+ojsNM9XwkStwIcCxpRSAQosxT/X7UU6BxN23c4H0LOPKIXWeWgaEREQuVfCyMtUD"
    "HD9gWF8DGxM/7fBqz9yVSAzMt4BjK/rG9LdwIDAQAB")
