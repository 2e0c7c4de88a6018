using System.Text;

namespace Kcore.Fuzz.Mutators;

/// <summary>
/// Text of JSON: literals are exchanged for others, members left out, doubled and taken from another text; now and then
/// the text itself is torn.
/// </summary>
internal sealed class JsonMutator(params string[] literals) : IMutator
{
    private static readonly string[] Rough =
    [
        "\"\"", "null", "true", "false", "-0", "1e999", "9223372036854775808", "2147483648", "-1", "0", "4094", "4095", "0.5", "{}", "[]", "[[[[]]]]",
        "\"\\u0000\"", "\"\\ud800\"", "\"\ufeff\"", "\"\u202e\"", "\" \"", "\"\\n\"", "\"é\"", "\"漢字\"", "\"..\"", "\"/\"", "\"a/b\"", "\"%s\"", "\"'\"", "\"$(x)\"",
        "\"0x7f.1\"", "\"010.1.1.1\"", "\"10.250.0.1\"", "\"10.250.0.0\"", "\"224.0.0.1\"", "\"0.0.0.0\"", "\"255.255.255.255\"", "\"255.255.255.252\"",
        "\"255.0.255.0\"", "\"128.0.0.0\"", "\"::1\"", "\"ff:ff:ff:ff:ff:ff\"", "\"02:00:00:00:00:01\"", "\"2:0:0:0:0:1\"", "\"-1\"", "\"1234\"",
    ];

    private readonly byte[][] _literals = [.. Rough.Concat(literals).Select(Encoding.UTF8.GetBytes)];
    private readonly ByteMutator _bytes = new(isBigEndian: true);

    public byte[] Mutate(byte[] input, byte[] other, Chance chance)
    {
        byte[] bytes = [.. input];
        for (int changes = 1 + chance.Next(3); changes > 0; changes--)
        {
            if (chance.OneIn(12))
            {
                return _bytes.Mutate(bytes, other, chance);
            }

            bytes = Change(bytes, other, chance);
        }

        return bytes;
    }

    private byte[] Change(byte[] bytes, byte[] other, Chance chance)
    {
        List<Range> tokens = Tokens(bytes);
        if (tokens.Count == 0)
        {
            return [.. other];
        }

        Range at = chance.Of(tokens);
        byte[] token = bytes[at];
        byte[] changed = chance.Next(8) switch
        {
            0 => [],
            1 => [.. token, .. ","u8, .. token],
            2 when Tokens(other) is { Count: > 0 } theirs => other[chance.Of(theirs)],
            3 => Stretch(token, chance),
            4 => bytes[chance.Of(tokens)],
            _ => chance.Of(_literals),
        };
        return [.. bytes[..at.Start], .. changed, .. bytes[at.End..]];
    }

    // Longer or shorter between its quotes.
    private static byte[] Stretch(byte[] token, Chance chance)
    {
        if (token.Length < 3)
        {
            return token;
        }

        int cut = chance.Next(1, token.Length - 1);
        byte[] piece = chance.OneIn(2) ? token[1..^1] : [(byte)chance.Next(0x20, 0x7f)];
        return chance.OneIn(3)
            ? [.. token[..cut], .. token[^1..]]
            : [.. token[..cut], .. Enumerable.Repeat(piece, 1 + chance.Next(chance.OneIn(6) ? 200 : 3)).SelectMany(part => part), .. token[cut..]];
    }

    /// <summary>Strings, numbers, words, and whole members with their names.</summary>
    private static List<Range> Tokens(byte[] bytes)
    {
        List<Range> tokens = [];
        int memberStart = -1;
        for (int at = 0; at < bytes.Length;)
        {
            int start = at;
            if (bytes[at] == '"')
            {
                for (at++; at < bytes.Length && bytes[at] != '"'; at++)
                {
                    at += bytes[at] == '\\' ? 1 : 0;
                }

                at = Math.Min(at + 1, bytes.Length);
            }
            else
            {
                while (at < bytes.Length && (char.IsAsciiLetterOrDigit((char)bytes[at]) || bytes[at] is (byte)'-' or (byte)'.' or (byte)'+'))
                {
                    at++;
                }
            }

            if (at == start)
            {
                at++;
                continue;
            }

            tokens.Add(start..at);
            if (at < bytes.Length && bytes[at] == ':')
            {
                memberStart = start;
            }
            else if (memberStart >= 0)
            {
                tokens.Add(memberStart..at);
                memberStart = -1;
            }
        }

        return tokens;
    }
}
