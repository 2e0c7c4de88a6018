namespace Kcore.Raft.Tests;

/// <summary>A few members whose messages arrive at once, in order, and whose disks answer at once.</summary>
internal sealed class Room
{
    private readonly Queue<RaftMessage> _messages = new();

    public Room(int voters, int learners = 0, RaftOptions? options = null)
    {
        for (int number = 1; number <= voters + learners; number++)
        {
            Nodes[Members.Id(number)] = number <= voters
                ? Members.Of(number, voters, options)
                : new RaftNode(options ?? new RaftOptions(), Members.Id(number), new RaftInitialState(Members.Group, default, RaftSnapshot.Empty, []), new Random(number));
            Applied[Members.Id(number)] = [];
        }
    }

    public SortedDictionary<MemberId, RaftNode> Nodes { get; } = [];

    public Dictionary<MemberId, List<RaftEntry>> Applied { get; } = [];

    public List<(MemberId Member, ulong Token)> Reads { get; } = [];

    public List<(MemberId Member, ulong Token)> FailedReads { get; } = [];

    /// <summary>Every message that was sent.</summary>
    public List<RaftMessage> Sent { get; } = [];

    /// <summary>Messages for which this is true are lost.</summary>
    public Func<RaftMessage, bool> IsLost { get; set; } = _ => false;

    public RaftNode this[int number] => Nodes[Members.Id(number)];

    /// <summary>Makes a member the leader.</summary>
    public RaftNode Elect(int number)
    {
        this[number].Campaign();
        Settle();
        Assert.Equal(RaftRole.Leader, this[number].Role);
        return this[number];
    }

    public void Propose(int number, int count = 1)
    {
        for (int i = 0; i < count; i++)
        {
            Assert.Equal(ProposeOutcome.Appended, this[number].Propose(new byte[] { 1, 2, 3 }, out _));
            Settle();
        }
    }

    public void Tick(int times, params int[] numbers)
    {
        for (int i = 0; i < times; i++)
        {
            foreach (RaftNode node in Nodes.Values.Where(node => numbers.Length == 0 || numbers.Any(number => node.Self == Members.Id(number))))
            {
                node.Tick();
            }

            Settle();
        }
    }

    public void Settle()
    {
        bool isBusy = true;
        while (isBusy)
        {
            isBusy = false;
            foreach (RaftNode node in Nodes.Values)
            {
                while (node.TakeReady() is { IsEmpty: false } ready)
                {
                    isBusy = true;
                    foreach (RaftMessage message in ready.Messages)
                    {
                        Sent.Add(message);
                        _messages.Enqueue(message);
                    }

                    Applied[node.Self].AddRange(ready.Committed);
                    Reads.AddRange(ready.Reads.Select(token => (node.Self, token)));
                    FailedReads.AddRange(ready.FailedReads.Select(token => (node.Self, token)));
                    if (ready.Batch is { } batch)
                    {
                        node.StorageAck(batch.Id);
                    }
                }
            }

            while (_messages.TryDequeue(out RaftMessage? message))
            {
                isBusy = true;
                if (!IsLost(message) && Nodes.TryGetValue(message.To, out RaftNode? to))
                {
                    to.Step(message);
                }
            }
        }
    }
}
