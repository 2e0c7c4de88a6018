using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Kcore.Raft;

/// <summary>Bytes of a <see cref="Configuration"/>, as entries and snapshots hold it.</summary>
public static class ConfigurationCodec
{
    private const byte Version = 1;

    public static byte[] Encode(Configuration configuration)
    {
        var writer = new FieldWriter();
        Write(writer, configuration);
        return writer.ToArray();
    }

    /// <summary>False when the bytes are no configuration.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out Configuration? configuration)
    {
        var reader = new FieldReader(bytes);
        configuration = Read(ref reader);
        return configuration is not null && reader.IsAtValidEnd;
    }

    internal static void Write(FieldWriter writer, Configuration configuration)
    {
        writer.U8(Version);
        WriteMembers(writer, configuration.Voters);
        WriteMembers(writer, configuration.OldVoters);
        WriteMembers(writer, configuration.Learners);
    }

    internal static Configuration? Read(ref FieldReader reader)
    {
        if (reader.U8() != Version)
        {
            reader.Fail();
            return null;
        }

        MemberId[] voters = ReadMembers(ref reader);
        MemberId[] oldVoters = ReadMembers(ref reader);
        MemberId[] learners = ReadMembers(ref reader);
        if (!reader.IsValid || learners.Any(learner => voters.Contains(learner)))
        {
            reader.Fail();
            return null;
        }

        return Configuration.Of(voters, oldVoters, learners);
    }

    private static void WriteMembers(FieldWriter writer, ImmutableArray<MemberId> members)
    {
        writer.U32((uint)members.Length);
        foreach (MemberId member in members)
        {
            writer.Member(member);
        }
    }

    private static MemberId[] ReadMembers(ref FieldReader reader)
    {
        var members = new MemberId[reader.Count(Configuration.MembersMax, 32)];
        for (int i = 0; i < members.Length; i++)
        {
            members[i] = reader.Member();
        }

        return members;
    }
}
