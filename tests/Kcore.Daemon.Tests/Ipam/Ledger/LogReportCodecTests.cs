using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam.Ledger;

public sealed class LogReportCodecTests
{
    private static readonly MemberId Voter = new(Commands.Id(1), Commands.Id(2));
    private static readonly MemberId Learner = new(Commands.Id(3), Commands.Id(4));

    [Fact]
    public void A_report_is_read_as_it_was_told()
    {
        Assert.True(LogReportCodec.TryDecode(LogReportCodec.Encode(Report()), out LogSummary? read));

        Assert.Equal((6ul, Voter, 19ul, 18ul, 20ul, false), (read.Term, read.Leader, read.Commit, read.Applied, read.Last, read.IsJoint));
        Assert.Equal(
            [
                new LogMember(Voter, true, 20, TimeSpan.Zero, TimeSpan.Zero, false),
                new LogMember(Learner, false, 7, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2), true),
            ],
            read.Members.ToArray());
    }

    [Fact]
    public void Any_bytes_are_read_or_refused()
    {
        byte[] bytes = LogReportCodec.Encode(Report());
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.False(LogReportCodec.TryDecode(bytes.AsSpan(0, length), out _));
        }

        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] noise = [.. bytes];
            noise[random.Next(noise.Length)] = (byte)random.Next(256);
            LogReportCodec.TryDecode(noise, out _);
        }
    }

    private static LogReport Report() => new(
        new ConsensusStatus
        {
            Self = Voter,
            ClusterId = Commands.Cluster,
            Epoch = 1,
            Term = 6,
            Role = RaftRole.Leader,
            Leader = Voter,
            CommitIndex = 19,
            AppliedIndex = 18,
            LastIndex = 20,
            Voters = [Voter],
            Learners = [Learner],
            IsJoint = false,
            LeaderlessSince = null,
            IsStorageStalled = false,
            IsSpaceLow = false,
            VotersSeen = [Voter],
            LastSync = TimeSpan.Zero,
            Fault = ConsensusFault.None,
        },
        Configuration.Of([Voter], learners: [Learner]),
        [
            new PeerReport(Voter, 20, TimeSpan.Zero, TimeSpan.Zero, false),
            new PeerReport(Learner, 7, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2), true),
        ]);
}
