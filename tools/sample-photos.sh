#!/bin/sh
# Made examples/photos and examples/unseen out of Debian's package tuxpaint-stamps-default
# (GPL-2): the photographs among its stamps of mammals, birds, fruit and flowers, unchanged;
# its drawings, silhouettes and toys are left out. Run it in the root of the repository.
set -eu

stamps=${1:-/usr/share/tuxpaint/stamps}
not_photos='/cartoon/|/toys/|/hedgehog.png|/echidna.png|kangaroo-silo'
unseen='equines/zebra|rodents/squirrel|/owl|/pelican|/pineapple|/daffodil'

copy() { # class, folders of the package
    class=$1
    shift
    mkdir -p "examples/photos/$class" examples/unseen
    find "$@" -name '*.png' | grep -Ev "$not_photos" | while read -r photo; do
        if echo "$photo" | grep -Eq "($unseen)\.png"; then
            cp "$photo" examples/unseen/
        else
            cp "$photo" "examples/photos/$class/"
        fi
    done
}

copy mammal "$stamps/animals/mammals" "$stamps/animals/marsupials"
copy bird "$stamps/animals/birds"
copy fruit "$stamps/food/fruit" "$stamps/plants/trees/rambutan.png"
copy flower "$stamps/plants/flowers"
chmod -R u=rwX,go=rX examples/photos examples/unseen
