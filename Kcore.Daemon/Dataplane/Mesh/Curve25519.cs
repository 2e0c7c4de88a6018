using System.Buffers.Binary;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// X25519 (RFC 7748), which .NET does not offer: what makes a public key of WireGuard from a private one. Handshakes are
/// WireGuard's own business. No branch and no memory access depends on the secret.
/// </summary>
internal static class Curve25519
{
    public const int ByteCount = 32;

    /// <summary>(486662 − 2) / 4, RFC 7748 §5.</summary>
    private const ulong A24 = 121665;

    private const ulong Mask = (1UL << 51) - 1;

    private static readonly byte[] _base = [9, .. new byte[31]];

    /// <summary>Makes any 32 bytes a private key (RFC 7748 §5, "decodeScalar25519").</summary>
    public static void Clamp(Span<byte> secret)
    {
        secret[0] &= 248;
        secret[31] &= 127;
        secret[31] |= 64;
    }

    public static byte[] PublicKey(ReadOnlySpan<byte> secret) => Multiply(secret, _base);

    /// <summary>The scalar times the point of which this is the u-coordinate (RFC 7748 §5, Montgomery ladder).</summary>
    public static byte[] Multiply(ReadOnlySpan<byte> scalar, ReadOnlySpan<byte> point)
    {
        Span<byte> k = stackalloc byte[ByteCount];
        scalar.CopyTo(k);
        Clamp(k);
        Element x1 = Element.Read(point), x2 = Element.One, z2 = default, x3 = x1, z3 = Element.One;
        ulong swap = 0;
        for (int t = 254; t >= 0; t--)
        {
            ulong bit = (ulong)(k[t >> 3] >> (t & 7)) & 1;
            swap ^= bit;
            Element.Swap(swap, ref x2, ref x3);
            Element.Swap(swap, ref z2, ref z3);
            swap = bit;
            Element a = x2 + z2, b = x2 - z2, aa = a * a, bb = b * b, e = aa - bb;
            Element da = (x3 - z3) * a, cb = (x3 + z3) * b;
            Element sum = da + cb, difference = da - cb;
            x3 = sum * sum;
            z3 = x1 * (difference * difference);
            x2 = aa * bb;
            z2 = e * (aa + (e * A24));
        }

        Element.Swap(swap, ref x2, ref x3);
        Element.Swap(swap, ref z2, ref z3);
        k.Clear();
        return (x2 * z2.Inverse()).ToBytes();
    }

    /// <summary>A number modulo 2^255 − 19 in five limbs of 51 bits, each a few bits above at most.</summary>
    private readonly struct Element(ulong l0, ulong l1, ulong l2, ulong l3, ulong l4)
    {
        private readonly ulong _0 = l0;
        private readonly ulong _1 = l1;
        private readonly ulong _2 = l2;
        private readonly ulong _3 = l3;
        private readonly ulong _4 = l4;

        public static Element One => new(1, 0, 0, 0, 0);

        public static Element Read(ReadOnlySpan<byte> bytes)
        {
            ulong a = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            ulong b = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
            ulong c = BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]);
            ulong d = BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]);
            return new Element(
                a & Mask, ((a >> 51) | (b << 13)) & Mask, ((b >> 38) | (c << 26)) & Mask, ((c >> 25) | (d << 39)) & Mask, (d >> 12) & Mask);
        }

        public static Element operator +(Element a, Element b) => new(a._0 + b._0, a._1 + b._1, a._2 + b._2, a._3 + b._3, a._4 + b._4);

        // Four times the prime is added, so that no limb goes below zero.
        public static Element operator -(Element a, Element b) => Carried(
            a._0 + 0x1F_FFFF_FFFF_FFB4 - b._0,
            a._1 + 0x1F_FFFF_FFFF_FFFC - b._1,
            a._2 + 0x1F_FFFF_FFFF_FFFC - b._2,
            a._3 + 0x1F_FFFF_FFFF_FFFC - b._3,
            a._4 + 0x1F_FFFF_FFFF_FFFC - b._4);

        public static Element operator *(Element a, Element b)
        {
            UInt128 r0 = Product(a._0, b._0) + (19 * (Product(a._1, b._4) + Product(a._2, b._3) + Product(a._3, b._2) + Product(a._4, b._1)));
            UInt128 r1 = Product(a._0, b._1) + Product(a._1, b._0) + (19 * (Product(a._2, b._4) + Product(a._3, b._3) + Product(a._4, b._2)));
            UInt128 r2 = Product(a._0, b._2) + Product(a._1, b._1) + Product(a._2, b._0) + (19 * (Product(a._3, b._4) + Product(a._4, b._3)));
            UInt128 r3 = Product(a._0, b._3) + Product(a._1, b._2) + Product(a._2, b._1) + Product(a._3, b._0) + (19 * Product(a._4, b._4));
            UInt128 r4 = Product(a._0, b._4) + Product(a._1, b._3) + Product(a._2, b._2) + Product(a._3, b._1) + Product(a._4, b._0);
            return Reduced(r0, r1, r2, r3, r4);
        }

        public static Element operator *(Element a, ulong small) =>
            Reduced(Product(a._0, small), Product(a._1, small), Product(a._2, small), Product(a._3, small), Product(a._4, small));

        /// <summary>Exchanges two numbers when the bit is 1.</summary>
        public static void Swap(ulong bit, ref Element a, ref Element b)
        {
            ulong mask = 0 - bit;
            ulong d0 = mask & (a._0 ^ b._0), d1 = mask & (a._1 ^ b._1), d2 = mask & (a._2 ^ b._2), d3 = mask & (a._3 ^ b._3), d4 = mask & (a._4 ^ b._4);
            a = new Element(a._0 ^ d0, a._1 ^ d1, a._2 ^ d2, a._3 ^ d3, a._4 ^ d4);
            b = new Element(b._0 ^ d0, b._1 ^ d1, b._2 ^ d2, b._3 ^ d3, b._4 ^ d4);
        }

        /// <summary>To the power of the prime less two (Fermat), of whose 255 bits only the second and the fourth are zero.</summary>
        public Element Inverse()
        {
            Element power = this;
            for (int bit = 253; bit >= 0; bit--)
            {
                power *= power;
                if (bit is not (2 or 4))
                {
                    power *= this;
                }
            }

            return power;
        }

        public byte[] ToBytes()
        {
            Element t = Carried(_0, _1, _2, _3, _4);

            // The number is below twice the prime now; what is at least the prime loses it once.
            ulong above = (t._0 + 19) >> 51;
            above = (t._1 + above) >> 51;
            above = (t._2 + above) >> 51;
            above = (t._3 + above) >> 51;
            above = (t._4 + above) >> 51;
            ulong r0 = t._0 + (19 * above);
            ulong r1 = t._1 + (r0 >> 51);
            ulong r2 = t._2 + (r1 >> 51);
            ulong r3 = t._3 + (r2 >> 51);
            ulong r4 = t._4 + (r3 >> 51);
            r0 &= Mask;
            r1 &= Mask;
            r2 &= Mask;
            r3 &= Mask;
            r4 &= Mask;
            byte[] bytes = new byte[ByteCount];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, r0 | (r1 << 51));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), (r1 >> 13) | (r2 << 38));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), (r2 >> 26) | (r3 << 25));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), (r3 >> 39) | (r4 << 12));
            return bytes;
        }

        private static UInt128 Product(ulong a, ulong b) => (UInt128)a * b;

        private static Element Reduced(UInt128 r0, UInt128 r1, UInt128 r2, UInt128 r3, UInt128 r4)
        {
            r1 += r0 >> 51;
            r2 += r1 >> 51;
            r3 += r2 >> 51;
            r4 += r3 >> 51;
            UInt128 low = ((ulong)r0 & Mask) + (19 * (r4 >> 51));
            return new Element(
                (ulong)low & Mask, ((ulong)r1 & Mask) + (ulong)(low >> 51), (ulong)r2 & Mask, (ulong)r3 & Mask, (ulong)r4 & Mask);
        }

        private static Element Carried(ulong l0, ulong l1, ulong l2, ulong l3, ulong l4)
        {
            l1 += l0 >> 51;
            l2 += l1 >> 51;
            l3 += l2 >> 51;
            l4 += l3 >> 51;
            l0 = (l0 & Mask) + (19 * (l4 >> 51));
            return new Element(l0 & Mask, (l1 & Mask) + (l0 >> 51), l2 & Mask, l3 & Mask, l4 & Mask);
        }
    }
}
